"""The timers of an event loop: calls of one moment share one.

A hundred workers with one interval sleep to the same moment (see `precise_loop`). A timer each
costs more than their runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mainspring.clock import monotonic

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class TimedCalls:
    """The calls of one moment, in the order in which they were set, and their timer."""

    timer: asyncio.TimerHandle
    calls: dict[Callable[[], object], None] = field(default_factory=dict)


class SharedTimers:
    """Calls functions on a loop, at moments of `time.monotonic()`. Used on the loop alone."""

    def __init__(self) -> None:
        self._moments: dict[float, TimedCalls] = {}

    def set(
        self, loop: asyncio.AbstractEventLoop, moment: float, function: Callable[[], object]
    ) -> None:
        """Call a function on this loop, the one that these timers are of, at a moment."""
        due = self._moments.get(moment)
        if due is None:
            timer = loop.call_later(moment - monotonic(), self._call_due, loop, moment)
            due = self._moments[moment] = TimedCalls(timer)
        due.calls[function] = None

    def drop(self, moment: float, function: Callable[[], object]) -> None:
        """Call it no more; harmless once it was called."""
        due = self._moments.get(moment)
        if due is None:
            return
        due.calls.pop(function, None)
        if not due.calls:
            del self._moments[moment]
            due.timer.cancel()

    def _call_due(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        due = self._moments.pop(moment, None)
        if due is not None:
            self._call_each(loop, iter(due.calls))

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


_timers: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedTimers] = WeakKeyDictionary()


def shared_timers_of(loop: asyncio.AbstractEventLoop) -> SharedTimers:
    """Return the timers of a loop; called on it."""
    timers = _timers.get(loop)
    if timers is None:
        _drop_closed()
        timers = _timers[loop] = SharedTimers()
    return timers


def _drop_closed() -> None:
    """Forget the timers of closed loops: what is set on one keeps it, and its tasks, in memory."""
    for reference in _timers.keyrefs():
        loop = reference()
        if loop is not None and loop.is_closed():
            _timers.pop(loop, None)
