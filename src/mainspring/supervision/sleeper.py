"""How a driver sleeps until a time or a wake; it knows nothing of triggers.

No wake is lost: the sleeper says that it sleeps before it looks for a wake, and a waker leaves its
wake before it looks for a sleeper. So `wake` costs two attribute accesses while the driver is busy,
and takes no lock: it may be called from a signal handler.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.supervision.fine_loop import moment_after

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

    __slots__ = ("_future", "_loop", "_sleeping", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
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
        timer = None
        try:
            # One coroutine, not two: of a worker that runs often this is most of the cost.
            if not self._woken:
                self._future = self._loop.create_future()
                if seconds is not None:
                    end = moment_after(self._loop.time(), min(seconds, LONGEST))
                    timer = self._loop.call_at(end, self._rouse)
                await self._future
        finally:
            self._sleeping = False
            self._woken = False
            if timer is not None:
                timer.cancel()

    def _rouse(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
