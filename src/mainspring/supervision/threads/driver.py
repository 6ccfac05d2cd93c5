"""Runs a sync target in borrowed threads: a worker that waits holds none."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.supervision.inside import Scope, current_scope
from mainspring.supervision.loops.precise_loop import moment_after
from mainspring.supervision.sleeper import LONGEST
from mainspring.supervision.workers.driver import run_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.supervision.threads.pool import PriorityThreadPool
    from mainspring.supervision.workers.driver import Steps

log = logging.getLogger("mainspring.supervision")

FAIR_SHARE = 0.02
"""Seconds that one worker keeps a borrowed thread while others may wait for it."""


class PoolDriver:
    """Borrows a thread of the pool for each run that is due; whoever wakes the worker checks that.

    So a wake reaches the target with one hop, and a worker that sleeps costs an entry in the
    timers of the pool.
    """

    def __init__(
        self, target: Callable[..., object], pool: PriorityThreadPool, priority: int
    ) -> None:
        self._target = target
        self._pool = pool
        self._priority = priority

    async def drive(self, worker: Steps, started: Callable[[], None]) -> None:
        """Return when the worker is at its end and no run is under way."""
        state = _DriveState(worker, self._target, self._pool, self._priority)
        worker.bind(state.look)
        started()
        state.look()
        await state.end()

    def cancel_run(self) -> None:
        """Do nothing: a thread can't be interrupted."""


class _DriveState:
    """The state of one drive: busy while a thread is borrowed, or about to be."""

    def __init__(
        self,
        worker: Steps,
        target: Callable[..., object],
        pool: PriorityThreadPool,
        priority: int,
    ) -> None:
        self._worker = worker
        self._target = target
        self._pool = pool
        self._priority = priority
        # The worker's own, as a thread's or task's would be: no other sees what its target sets.
        self._context = Context()
        self._context.run(current_scope.set, Scope(worker.owners, worker, None))
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._next_look = math.inf  # when it looks again, if nobody does before
        self._look_later = self._look_after_sleep  # bound once, since it is a key
        self._busy = False
        self._begun = False  # the turn that a thread is, or was, asked to take
        # Reentrant, since a signal handler may wake the worker while its own thread is in here.
        self._lock = threading.RLock()

    async def end(self) -> None:
        """Wait for the end; cancelled, leave a run behind that does not end."""
        try:
            await self._over
        finally:
            self._pool.forget(self._next_look, self._look_later)

    def look(self) -> None:
        """Borrow a thread if a run is due; from any thread."""
        try:
            if self._occupy():
                self._borrow()
        except BaseException:
            self._look_again()
            raise

    def _look_again(self) -> None:
        """After an exception in a look (Ctrl-C, say): a thread may have been asked, or not."""
        with self._lock:
            waits = self._busy and not self._begun
        if waits or self._occupy():
            self._borrow()

    def _look_after_sleep(self) -> None:
        """Run if a run is due; in a thread that is borrowed already."""
        self._next_look = math.inf
        if self._occupy():
            self._begin_turn()

    def _occupy(self) -> bool:
        """Become busy if a run is due; return whether it did."""
        with self._lock:
            if self._busy and (self._begun or not self._worker.ending):
                return False
            self._busy = False  # a turn that waits for a thread has nothing to do any more
            if not self._due():
                return False
            self._begun = False
            self._busy = True
            return True

    def _borrow(self) -> None:
        try:
            self._pool.execute(self._priority, self._begin_turn)
        except Exception as error:  # noqa: BLE001  a pool that is closed lends no more
            self._warn(error)
            self._worker.close()
            self._busy = False
            self.look()

    def _begin_turn(self) -> None:
        """Run as long as a run is due, unless a thread that was asked before has begun to."""
        with self._lock:
            if self._begun or not self._busy:
                return
            self._begun = True
        if not self._context.run(self._run_while_due):
            self._begun = False
            self._borrow()

    def _run_while_due(self) -> bool:
        """Run until no run is due; False: the thread has been held long enough before."""
        began = now = monotonic()
        while True:
            run_once(self._worker, self._target, now)
            with self._lock:
                if not self._due():
                    self._busy = False
                    return True
            now = monotonic()
            if now - began > FAIR_SHARE:
                return False

    def _due(self) -> bool:
        """Return whether a run is due now; if not, see to it that somebody looks again."""
        if not self._worker.ending:
            now = monotonic()
            pause = self._worker.pause(now)
            if pause is not None and pause <= 0:
                return True
            if pause is not None:
                self._set_timer(moment_after(now, min(pause, LONGEST)))
        if self._worker.ending:
            self._report_over()
        return False

    def _set_timer(self, moment: float) -> None:
        # One that rings before is kept: whoever looks then sets the next.
        if moment >= self._next_look:
            return
        if self._next_look < math.inf:
            self._pool.forget(self._next_look, self._look_later)
            self._next_look = math.inf
        try:
            self._pool.execute_at(moment, self._priority, self._look_later)
        except Exception as error:  # noqa: BLE001  as in `_borrow`
            self._warn(error)
            # Not here, under our lock: who closes the worker has its lock, and comes to look.
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._worker.close)
        else:
            self._next_look = moment

    def _warn(self, error: Exception) -> None:
        if not self._worker.ending:
            log.warning("worker %r gets no thread (%r) and stops", self._worker.name, error)

    def _report_over(self) -> None:
        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
