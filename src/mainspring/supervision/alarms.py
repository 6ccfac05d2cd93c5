"""The alarms of an event loop, set from any thread: those of one moment share one timer.

A hundred workers with one interval sleep to the same moment (see `fine_loop`). A timer each costs
more than their runs, and to set one from another thread means to wake the loop for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

Ring = Callable[[Iterable[Any]], object]


def call_each(functions: Iterable[Callable[[], object]]) -> None:
    """Call functions; what one raises, an exit or a signal's interrupt, loses none of the others.

    Called on a loop.
    """
    rest = iter(functions)
    try:
        for function in rest:
            function()
    except BaseException:
        asyncio.get_running_loop().call_soon(call_each, rest)
        raise


@dataclass(slots=True)
class Group:
    """Who is to be rung at one moment, in the order in which it was said, and how."""

    sleepers: dict[Ring, dict[Any, None]] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Alarms:
    """Rings sleepers on a loop, at moments of `time.monotonic()`.

    `ring` gets all those of one moment at once that name it; by default they are functions and it
    calls each.
    """

    def __init__(self) -> None:
        self._groups: dict[float, Group] = {}
        # Reentrant, since a signal handler may set an alarm while its own thread is in here.
        self._lock = threading.RLock()

    def set(
        self,
        loop: asyncio.AbstractEventLoop,
        moment: float,
        sleeper: Any,
        ring: Ring = call_each,
    ) -> None:
        """Ring a sleeper on this loop, the one that these alarms are of, at a moment."""
        with self._lock:
            group = self._groups.get(moment)
            if group is not None:
                group.sleepers.setdefault(ring, {})[sleeper] = None
                return
            group = self._groups[moment] = Group({ring: {sleeper: None}})
        if asyncio._get_running_loop() is loop:  # noqa: SLF001  documented, and does not raise
            self._arm(loop, moment, group)
        else:
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._arm, loop, moment, group)

    def drop(self, moment: float, sleeper: Any, ring: Ring = call_each) -> None:
        """Ring it no more; on the loop, and harmless once it was rung."""
        with self._lock:
            group = self._groups.get(moment)
            if group is None or ring not in group.sleepers:
                return
            group.sleepers[ring].pop(sleeper, None)
            if group.timer is not None and not any(group.sleepers.values()):
                del self._groups[moment]
                group.timer.cancel()

    def _arm(self, loop: asyncio.AbstractEventLoop, moment: float, group: Group) -> None:
        with self._lock:
            group.timer = loop.call_later(moment - time.monotonic(), self._ring, moment)

    def _ring(self, moment: float) -> None:
        with self._lock:
            group = self._groups.pop(moment, None)
        if group is not None:
            call_each(partial(ring, sleepers) for ring, sleepers in group.sleepers.items())


_alarms: WeakKeyDictionary[asyncio.AbstractEventLoop, Alarms] = WeakKeyDictionary()


def alarms_of(loop: asyncio.AbstractEventLoop) -> Alarms:
    """Return the alarms of a loop; called on it."""
    alarms = _alarms.get(loop)
    if alarms is None:
        alarms = _alarms[loop] = Alarms()
    return alarms
