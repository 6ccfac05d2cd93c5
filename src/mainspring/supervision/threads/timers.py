"""Calls that are to be made at a moment: those of one moment stand on one page."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Timers:
    """Functions and their priorities, by moments of `time.monotonic()`."""

    __slots__ = ("_pages", "moments")

    def __init__(self) -> None:
        self._pages: dict[float, dict[Callable[[], object], int]] = {}
        self.moments: list[float] = []
        """A heap of the moments at which there is something; to be read, at every call."""

    def put(self, moment: float, priority: int, function: Callable[[], object]) -> None:
        """Add a function behind those of its moment, on which it stands once."""
        page = self._pages.get(moment)
        if page is None:
            self._pages[moment] = {function: priority}
            heappush(self.moments, moment)
        else:
            page[function] = priority

    def drop(self, moment: float, function: Callable[[], object]) -> None:
        """Remove a function, if it is there."""
        page = self._pages.get(moment, {})
        if page.pop(function, None) is not None and not page:
            del self._pages[moment]
            self.moments.remove(moment)
            heapify(self.moments)

    def take_due(self, now: float) -> Iterator[tuple[int, Callable[[], object]]]:
        """Remove what is due, and return each priority and function."""
        while self.moments and self.moments[0] <= now:
            for function, priority in self._pages.pop(heappop(self.moments)).items():
                yield priority, function
