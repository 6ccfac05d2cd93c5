"""The alarms of an event loop, set from any thread: those of one moment share one timer.

A hundred workers with one interval sleep to the same moment (see `fine_loop`). A timer each costs
more than their runs, and to set one from another thread means to wake the loop for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class Group:
    """The alarms of one moment, in the order in which they were set."""

    calls: dict[Callable[[], object], None] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Alarms:
    """Calls functions on a loop, at moments of `time.monotonic()`."""

    def __init__(self) -> None:
        self._groups: dict[float, Group] = {}
        # Reentrant, since a signal handler may set an alarm while its own thread is in here.
        self._lock = threading.RLock()

    def set(
        self, loop: asyncio.AbstractEventLoop, moment: float, function: Callable[[], object]
    ) -> None:
        """Call a function on this loop, the one that these alarms are of, at a moment."""
        with self._lock:
            group = self._groups.get(moment)
            if group is not None:
                group.calls[function] = None
                return
            group = self._groups[moment] = Group({function: None})
        if asyncio._get_running_loop() is loop:  # noqa: SLF001  documented, and does not raise
            self._arm(loop, moment, group)
        else:
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._arm, loop, moment, group)

    def drop(self, moment: float, function: Callable[[], object]) -> None:
        """Call it no more; on the loop, and harmless once it was called."""
        with self._lock:
            group = self._groups.get(moment)
            if group is None:
                return
            group.calls.pop(function, None)
            if not group.calls and group.timer is not None:
                del self._groups[moment]
                group.timer.cancel()

    def _arm(self, loop: asyncio.AbstractEventLoop, moment: float, group: Group) -> None:
        with self._lock:
            group.timer = loop.call_later(moment - time.monotonic(), self._ring, loop, moment)

    def _ring(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        with self._lock:
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
