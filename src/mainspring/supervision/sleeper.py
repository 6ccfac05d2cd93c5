"""How a driver sleeps until a time or a wake; it knows nothing of triggers.

No wake is lost: the sleeper says that it sleeps before it looks for a wake, and a waker leaves its
wake before it looks for a sleeper. So `wake` costs two attribute accesses while the driver is busy,
and takes no lock: it may be called from a signal handler.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.supervision.alarms import alarms_of
from mainspring.supervision.fine_loop import SHARED_FROM, moment_after

if TYPE_CHECKING:
    import asyncio

LONGEST = 3600.0
"""Seconds slept in one go; a driver that wakes early just asks its trigger again."""


class ThreadSleeper:
    """Sleeps in the thread that calls `sleep`; woken from any thread."""

    __slots__ = ("_gate", "_sleeping", "_woken")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._sleeping = False
        self._woken = False

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread."""
        if self._woken:
            return
        self._woken = True
        if self._sleeping:
            # Released already by another waker: the sleeper finds the gate open, and that is all
            # we want.
            with suppress(RuntimeError):
                self._gate.release()

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long, at most `LONGEST`, or until woken (None: until woken)."""
        self._sleeping = True
        if not self._woken:
            self._gate.acquire(timeout=LONGEST if seconds is None else min(seconds, LONGEST))
        self._sleeping = False
        self._woken = False


class LoopSleeper:
    """Sleeps in a coroutine of `loop`; woken from any thread."""

    __slots__ = ("_alarms", "_future", "_loop", "_moment", "_sleeping", "_timer", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alarms = alarms_of(loop)
        self._timer: asyncio.TimerHandle | None = None
        self._moment = 0.0  # of the alarm that it shares with others
        self._future: asyncio.Future[None] | None = None
        self._sleeping = False
        self._woken = False

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread."""
        if self._woken:
            return
        self._woken = True
        if self._sleeping:
            # A loop that is closed has no sleeper any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._rouse)

    async def sleep(self, seconds: float | None) -> None:
        """Sleep so long, or until woken (None: until woken)."""
        self._sleeping = True
        try:
            # One coroutine, not two: of a worker that runs often this is most of the cost.
            if not self._woken:
                self._future = self._loop.create_future()
                if seconds is not None:
                    self._set_alarm(min(seconds, LONGEST))
                await self._future
        finally:
            self._sleeping = False
            self._woken = False
            self._drop_alarm()

    def _set_alarm(self, seconds: float) -> None:
        if seconds < SHARED_FROM:
            self._timer = self._loop.call_later(seconds, self._rouse)
        else:
            self._moment = moment_after(time.monotonic(), seconds)
            self._alarms.set(self._loop, self._moment, self._rouse)

    def _drop_alarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._moment > time.monotonic():
            self._alarms.drop(self._moment, self._rouse)
            self._moment = 0.0

    def _rouse(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
