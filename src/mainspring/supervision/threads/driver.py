"""Runs a sync target in borrowed threads: a worker that waits holds none."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.supervision.alarms import alarms_of
from mainspring.supervision.driver import run_once
from mainspring.supervision.fine_loop import moment_after
from mainspring.supervision.sleeper import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.supervision.cycle import Cycle
    from mainspring.supervision.threads.lender import Lender

log = logging.getLogger("mainspring.supervision")

FAIR_SHARE = 0.02
"""Seconds that one worker keeps a borrowed thread while others may wait for it."""


class PoolDriver:
    """Whoever wakes the worker looks whether a run is due, and if so borrows a thread for it.

    So a wake reaches the target with one hop, and a sleeping worker costs a timer at most. Those
    that sleep to one moment borrow together, and look in the thread that they get.
    """

    def __init__(self, target: Callable[..., object], lender: Lender) -> None:
        self._target = target
        self._lender = lender

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over and no run is under way."""
        loan = _Loan(cycle, self._target, self._lender)
        cycle.trigger.bind(loan.look)
        started()
        loan.look()
        await loan.end()


class _Loan:
    """The state of one drive: `busy` while a thread is lent, or about to be."""

    def __init__(self, cycle: Cycle, target: Callable[..., object], lender: Lender) -> None:
        self._cycle = cycle
        self._target = target
        self._lender = lender
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._alarms = alarms_of(self._loop)
        self._alarm = math.inf  # when it looks again, if nobody does before
        self._busy = False
        # Reentrant, since a signal handler may wake the worker while its own thread is in here.
        self._lock = threading.RLock()

    async def end(self) -> None:
        """Wait for the end; cancelled, leave a run behind that does not end."""
        try:
            await self._over
        finally:
            self._alarms.drop(self._alarm, self, self._lender)

    def look(self) -> None:
        """Borrow a thread if a run is due; from any thread."""
        if self._occupy():
            self._lender.lend(self)

    def rise(self) -> None:
        """Look after a sleep, in a thread that is lent already."""
        with self._lock:
            self._alarm = math.inf
        if self._occupy():
            self.turn()

    def turn(self) -> None:
        """Run as long as a run is due, then give the thread back."""
        began = time.monotonic()
        while True:
            run_once(self._cycle, self._target, time.monotonic())
            with self._lock:
                if not self._due():
                    self._busy = False
                    return
            if time.monotonic() - began > FAIR_SHARE:
                self._lender.lend(self)
                return

    def refused(self, error: Exception) -> None:
        """End the worker: a pool that is closed lends no more."""
        log.warning("worker %r gets no thread (%r) and stops", self._cycle.name, error)
        self._cycle.close()
        self._busy = False
        self.look()

    def _occupy(self) -> bool:
        with self._lock:
            if self._busy or not self._due():
                return False
            self._busy = True
            return True

    def _due(self) -> bool:
        """Whether a run is due now; if not, see to it that somebody looks again."""
        if self._cycle.over:
            self._call_on_loop(self._finish)
            return False
        now = time.monotonic()
        pause = self._cycle.pause(now)
        if pause is None:
            return False
        if pause > 0:
            self._set_alarm(moment_after(now, min(pause, LONGEST)))
        return pause <= 0

    def _call_on_loop(self, function: Callable[[], None]) -> None:
        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def _set_alarm(self, moment: float) -> None:
        # One that rings before is kept: whoever looks then sets the next.
        if moment < self._alarm:
            self._alarm = moment
            self._alarms.set(self._loop, moment, self, self._lender)

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
