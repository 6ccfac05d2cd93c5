"""The alarms of an event loop: those of one moment share one timer.

A hundred workers with one interval sleep to the same moment (see `fine_loop`). A timer each costs
more than their runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class Group:
    """The alarms of one moment, in the order in which they were set."""

    timer: asyncio.TimerHandle
    calls: dict[Callable[[], object], None] = field(default_factory=dict)


class Alarms:
    """Calls functions on a loop, at moments of `time.monotonic()`. Used on the loop alone."""

    def __init__(self) -> None:
        self._groups: dict[float, Group] = {}

    def set(
        self, loop: asyncio.AbstractEventLoop, moment: float, function: Callable[[], object]
    ) -> None:
        """Call a function on this loop, the one that these alarms are of, at a moment."""
        group = self._groups.get(moment)
        if group is None:
            timer = loop.call_later(moment - time.monotonic(), self._ring, loop, moment)
            group = self._groups[moment] = Group(timer)
        group.calls[function] = None

    def drop(self, moment: float, function: Callable[[], object]) -> None:
        """Call it no more; harmless once it was called."""
        group = self._groups.get(moment)
        if group is None:
            return
        group.calls.pop(function, None)
        if not group.calls:
            del self._groups[moment]
            group.timer.cancel()

    def _ring(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        group = self._groups.pop(moment, None)
        if group is not None:
            self._call_each(loop, iter(group.calls))

    def _call_each(
        self, loop: asyncio.AbstractEventLoop, functions: Iterator[Callable[[], object]]
    ) -> None:
        try:
            for function in functions:
                function()
        except BaseException:
            # What one raises, an exit or the interrupt of a signal, must not lose the others.
            loop.call_soon(self._call_each, loop, functions)
            raise


_alarms: WeakKeyDictionary[asyncio.AbstractEventLoop, Alarms] = WeakKeyDictionary()


def alarms_of(loop: asyncio.AbstractEventLoop) -> Alarms:
    """Return the alarms of a loop; called on it."""
    alarms = _alarms.get(loop)
    if alarms is None:
        alarms = _alarms[loop] = Alarms()
    return alarms
