"""One lifetime of a pool, from start to stop: its pending tasks, its records and its slots."""

from __future__ import annotations

import asyncio
import logging
import math
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.attempt import failure_of
from mainspring.engine.attempts.current_job import job_records
from mainspring.engine.attempts.running import Awaited, running
from mainspring.engine.attempts.waits import Wait, Waits
from mainspring.errors import NotRunning, WrongLoop
from mainspring.executors.coroutine_slots import SlotGroup
from mainspring.model.events import AttemptsEnded
from mainspring.model.job import Claim, JobState, Outcome, OutcomeKind
from mainspring.pool.attempt import PoolAttempt, cancelled
from mainspring.pool.body import body_of
from mainspring.pool.futures import future_of, resolve_all
from mainspring.pool.options import check_task
from mainspring.pool.pending import PendingRecords
from mainspring.pool.record import Record, new_task_id
from mainspring.pool.records import Records
from mainspring.telemetry.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.pool.caching import PoolCache
    from mainspring.pool.options import PoolOptions, PoolTaskOptions
    from mainspring.pool.record import Ending
    from mainspring.supervision.event_bus import EventBus

CANCEL_SECONDS = 1.0
"""Seconds that a cancellation waits for the body's end."""

LAST_SECONDS = 0.8
"""Seconds that a stop waits for bodies after it has cancelled them."""

POOL = "pool"
"""The one kind of slot there is."""

NO_KEYWORDS: dict[str, Any] = {}

log = logging.getLogger("mainspring.pool")


class PoolLifetime:
    """Accepts records and runs each to its end. Lives on the loop it was made on."""

    def __init__(self, options: PoolOptions, cache: PoolCache, bus: EventBus) -> None:
        self.loop = asyncio.get_running_loop()
        self.line = PendingRecords(options.max_queue_size)
        self.records = Records(
            math.inf if options.retention is None else options.retention,
            math.inf if options.max_finished is None else options.max_finished,
        )
        self.open = True
        self.waits = Waits(lambda _: options.max_workers)
        self._options = options
        self._cache = cache
        self._bus = bus
        attempt = PoolAttempt(cache, self._is_cancelled)
        self._slots_of_loop: SlotGroup[Record, Ending] = SlotGroup(
            range(options.max_workers),
            self.line,
            attempt,
            self._settle,
            without_body=attempt.kept if cache.instant else None,
        )
        self._idle: asyncio.Event | None = None
        self._ending: asyncio.Task[None] | None = None
        self._time_up = asyncio.Event()
        self._timers: list[asyncio.TimerHandle] = []
        self._manning = self.loop.create_task(self._slots_of_loop.run(), name="mainspring pool")
        job_records.install()
        self._manning.add_done_callback(self._leave)

    @property
    def running(self) -> int:
        """Bodies that run now."""
        return self._slots_of_loop.busy

    def future(self, record: Record) -> asyncio.Future[Any]:
        """Return a future of a task's result; warns if bodies of the pool wait for one another."""
        future = future_of(record, self.loop)
        waiting = running.get()
        if isinstance(waiting, Record) and not future.done() and self._is_here(waiting):
            pending = record.state is JobState.PENDING
            awaited = Awaited(record.id, record.task, POOL, pending)
            wait = Wait(waiting.id, waiting.task, POOL, awaited)
            self.waits.begin(wait)
            future.add_done_callback(lambda _: self.waits.end(wait))
        return future

    def _is_here(self, record: Record) -> bool:
        return any(slot.claim is record for slot in self._slots_of_loop.slots)

    def check_loop(self) -> None:
        """Raise WrongLoop anywhere but on the loop that it lives on."""
        if asyncio._get_running_loop() is not self.loop:  # noqa: SLF001  # documented, cheap
            raise WrongLoop("the pool")

    def draft(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: PoolTaskOptions,
    ) -> Record:
        """Make the record of a task, all of it checked."""
        body = body_of(function)
        check_task(options)
        body.check(args, kwargs)
        if options.task_id is not None:
            self.records.check_free(options.task_id, replace=options.replace)
        # One empty dict for all: what waits by the hundred thousand is looked at by the collector.
        call = (function, args, kwargs or NO_KEYWORDS)
        record = Record(options.task_id or new_task_id(), body, call)
        record.priority = options.priority
        record.metadata = options.metadata and dict(options.metadata)
        record.timeout = self._options.limit(options.timeout)
        record.plan = self._cache.plan(options)
        record.context = copy_context()
        return record

    def admit(self, record: Record) -> None:
        """Keep a record and let it wait for its turn; only with a place, if they are counted."""
        self.records.add(record)
        self.line.push(record)
        self._slots_of_loop.wake()

    async def take_place(self, options: PoolTaskOptions) -> None:
        """Wait until the line has a place for one more."""
        await self.line.place()
        try:
            self._check_still(options)
        except BaseException:
            self.line.give_back()
            raise

    def _check_still(self, options: PoolTaskOptions) -> None:
        """Look again: much may have happened while it waited for its place."""
        if not self.open:
            raise NotRunning("the pool was stopped before there was a place for the task")
        if options.task_id is not None:
            self.records.check_free(options.task_id, replace=options.replace)

    async def cancel(self, record: Record) -> bool:
        """Cancel a task and wait for its end, for a second; False if it ended otherwise."""
        if record.final:
            return False
        self.check_loop()
        if not self._interrupt(record):
            return False
        if not record.final:
            await asyncio.wait([future_of(record, self.loop)], timeout=CANCEL_SECONDS)
        return record.state in {JobState.CANCELLED, JobState.RUNNING}

    def _interrupt(self, record: Record) -> bool:
        slot = next((slot for slot in self._slots_of_loop.slots if slot.claim is record), None)
        if slot is not None:
            slot.interrupt(partial(cancelled, record))
        elif record.state is JobState.PENDING:
            self._settle(cancelled(record))
            self.line.dropped()
        return slot is not None or record.final

    async def join(self) -> None:
        """Wait until nothing is pending or running."""
        while len(self.line) or self._slots_of_loop.busy:
            self._idle = self._idle or asyncio.Event()
            self._idle.clear()
            await self._idle.wait()

    async def end(self, timeout: float | None) -> None:
        """Accept no more, cancel what is pending, and give bodies `timeout` seconds to end.

        Asked again, the shortest time holds.
        """
        self.check_loop()
        self.open = False
        if timeout is not None and not (self._ending and self._ending.done()):
            self._timers.append(self.loop.call_later(timeout, self._time_up.set))
        if self._ending is None:
            self._ending = self.loop.create_task(self._wind_up())
        # A body that stops its own pool can't wait for its own end.
        if asyncio.current_task() not in [slot.task for slot in self._slots_of_loop.slots]:
            await asyncio.shield(self._ending)

    async def _wind_up(self) -> None:
        self._cancel_pending()
        self._slots_of_loop.close()
        self._slots_of_loop.fill_slots()
        patience = self.loop.create_task(self._time_up.wait())
        await asyncio.wait([self._manning, patience], return_when=asyncio.FIRST_COMPLETED)
        if not self._manning.done():
            self._slots_of_loop.interrupt_all(cancelled)
            await asyncio.wait([self._manning], timeout=LAST_SECONDS)
        self._give_up()
        for timer in self._timers:
            timer.cancel()
        patience.cancel()
        await asyncio.wait([patience])

    def _give_up(self) -> None:
        left = list(self.records.unfinished())
        for record in left:
            self._settle(cancelled(record))
        if left:
            names = ", ".join(sorted({record.task for record in left}))
            log.warning("%d bodies do not heed being cancelled and are left: %s", len(left), names)

    def _leave(self, manning: asyncio.Task[None]) -> None:
        """Leave nobody waiting, also when the loop ended without a stop."""
        self.open = False
        job_records.remove()
        self._cancel_pending()
        if not manning.cancelled() and (error := manning.exception()) is not None:
            log.error("the pool's slots ended of an error", exc_info=error)

    def _cancel_pending(self) -> None:
        for record in self.line.waiting():
            self._interrupt(record)

    def _is_cancelled(self) -> bool:
        return self._slots_of_loop.is_cancelled

    def _settle(self, ending: Ending) -> None:
        record = ending.record
        if record.final:  # given up by a stop, and ending only now
            return
        record.end(ending)
        self.records.note_end(record)
        self.waits.forget(record.id)
        if record.futures is not None:
            resolve_all(record)
        if self._idle is not None:
            self._idle.set()
        if ending.error is not None or self._bus.has_subscribers:
            event = AttemptsEnded(((_claim(record), _outcome(ending)),))
            self._bus.publish_to(log_event, event)
            self._bus.publish(event)


def _claim(record: Record) -> Claim:
    """Return the claim that subscribers get of a task, without its arguments."""
    return Claim(0, record.id, 1, record.task, record.queue, b"", record.attempt, record.crashes)


def _outcome(ending: Ending) -> Outcome:
    failure = None if ending.error is None else failure_of(ending.error)
    kind = OutcomeKind(ending.state.value)
    return Outcome(0, 1, kind, ending.began, ending.ended, failure=failure)
