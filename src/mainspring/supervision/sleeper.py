"""Sleeps of a driver until a time or a wake; they know nothing of triggers.

No wake is lost: the sleeper says that it sleeps before it looks for a wake, and a waker leaves its
wake before it looks for a sleeper. So `wake` costs two attribute accesses while the driver is busy,
and takes no lock: it may be called from a signal handler.
"""

from __future__ import annotations

import asyncio
import threading
from types import coroutine
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.supervision.loops.precise_loop import SHARED_FROM, moment_after
from mainspring.supervision.loops.shared_timers import shared_timers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

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
            try:
                self._gate.release()
            except RuntimeError:
                return
            except BaseException:
                self._woken = False  # so that the next one tries again
                raise

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long, at most `LONGEST`, or until woken (None: until woken)."""
        self._sleeping = True
        if not self._woken:
            self._gate.acquire(timeout=LONGEST if seconds is None else min(seconds, LONGEST))
        self._sleeping = False
        self._woken = False


class LoopSleeper:
    """Sleeps in a coroutine of `loop`; woken from any thread.

    It is future-like, as `asyncio.isfuture` has it, and what its task waits for. A future would
    queue the task's next step behind a handle of its own, for the next turn of the loop; this takes
    the step at once, and of a worker that runs often that is much of the cost.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_loop",
        "_moment",
        "_on_timer",
        "_sleeping",
        "_step",
        "_timer",
        "_timers",
        "_woken",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers = shared_timers_of(loop)
        self._timer: asyncio.TimerHandle | None = None
        self._moment = 0.0  # of the timer that it shares with others
        self._step: Callable[[LoopSleeper], object] | None = None
        self._context: Context | None = None
        self._cancelled = False
        self._sleeping = False
        self._woken = False
        self._asyncio_future_blocking = False
        self._on_timer = self._timer_fired  # bound once, since it is a key

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread."""
        if self._woken:
            return
        self._woken = True
        if self._sleeping:
            # A loop that is closed has no sleeper any more.
            try:
                self._loop.call_soon_threadsafe(self._wake_up)
            except RuntimeError:
                return
            except BaseException:
                self._woken = False  # as above
                raise

    @coroutine
    def sleep(
        self, seconds: float | None, now: float | None = None
    ) -> Generator[LoopSleeper, None, None]:
        """Sleep so long from `now` on, or until woken (None: until woken)."""
        self._sleeping = True
        try:
            if not self._woken:
                if seconds is not None:
                    self._set_timer(seconds, monotonic() if now is None else now)
                self._asyncio_future_blocking = True
                yield self
        finally:
            self._sleeping = self._woken = self._cancelled = False
            if self._moment or self._timer is not None:
                self._drop_timer()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, as a future does."""
        return self._loop

    def add_done_callback(
        self, step: Callable[[LoopSleeper], object], *, context: Context | None = None
    ) -> None:
        """Store the next step of the task that waits."""
        self._step = step
        self._context = context

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002  a future's signature
        """End the sleep by `CancelledError`: the task was cancelled."""
        self._cancelled = True
        self._loop.call_soon(self._wake_up)
        return True

    def result(self) -> None:
        """Return nothing, or raise that it was cancelled; the task asks at its next step."""
        if self._cancelled:
            raise asyncio.CancelledError

    def _set_timer(self, seconds: float, now: float) -> None:
        if seconds < SHARED_FROM:
            self._timer = self._loop.call_later(seconds, self._wake_up)
        else:
            self._moment = moment_after(now, min(seconds, LONGEST))
            self._timers.set(self._loop, self._moment, self._on_timer)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        else:
            self._timers.drop(self._moment, self._on_timer)
            self._moment = 0.0

    def _timer_fired(self) -> None:
        """Run the step, as `_wake_up` does: the timer is spent."""
        self._moment = 0.0
        step, self._step = self._step, None
        if step is not None and self._context is not None:
            self._context.run(step, self)

    def _wake_up(self) -> None:
        """Run the step; called by the loop, never by a task."""
        step, self._step = self._step, None
        if step is not None and self._context is not None:
            self._context.run(step, self)
