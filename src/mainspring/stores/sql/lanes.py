"""Lanes: the numbers that stand for (queue, task) in the rows, as far as a process knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from collections.abc import Set as AbstractSet

    from mainspring.model.job import Want

LOWEST = -(2**63)

Name = tuple[str, str]
"""Queue and task."""

Asked = tuple[tuple[str, ...], tuple[str, ...] | None]
"""Tasks and queues of a want."""


class KnownLanes:
    """The lanes this process knows. They are never deleted, so what is known stays true."""

    def __init__(self) -> None:
        self.next = LOWEST
        self._numbers: dict[Name, int] = {}
        self.names: dict[int, Name] = {}
        """Queue and task of each number."""
        self._matching: dict[Asked, list[int]] = {}

    @property
    def numbers(self) -> dict[Name, int]:
        """The number of each name."""
        return self._numbers

    def missing(self, names: AbstractSet[Name]) -> list[Name]:
        """Return those of the names that are not known."""
        known = self._numbers
        return [] if known.keys() >= names else [name for name in names if name not in known]

    def learn(self, lanes: Iterable[tuple[int, Name]], *, below: int) -> None:
        """Add lanes in order of their numbers; one from `below` on does not count as the last."""
        for lane, name in lanes:
            self.names[lane] = name
            self._numbers[name] = lane
            if lane < below:
                self.next = lane + 1
        self.next = max(self.next, 1)
        self._matching = {}

    def up_to(self, last: int) -> bool:
        """Return whether all lanes up to the number `last` are known."""
        return self.next > last

    def matching(self, want: Want, paused: Collection[str] = ()) -> list[int]:
        """Return the lanes a want may claim from, but for those of paused queues."""
        lanes = self._all_matching(want)
        return [lane for lane in lanes if self.names[lane][0] not in paused] if paused else lanes

    def _all_matching(self, want: Want) -> list[int]:
        # Taken before the lanes are read: `learn` puts a new mapping in its place.
        matching = self._matching
        asked = want.tasks, want.queues
        if asked not in matching:
            matching[asked] = [
                lane
                for (queue, task), lane in list(self._numbers.items())
                if task in want.tasks and (want.queues is None or queue in want.queues)
            ]
        return matching[asked]
