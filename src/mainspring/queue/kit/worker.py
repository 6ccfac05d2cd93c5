"""A worker without threads: the engine's parts, driven by whoever asks for a job to be run.

Claims and outcomes go by the real exchange, ticks by the real scheduler, bodies through the real
attempt; in a consumer the same parts are services.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.engine.attempts.attempt import released
from mainspring.engine.attempts.current_job import job_records
from mainspring.engine.attempts.resources import Resources
from mainspring.engine.attempts.running import running
from mainspring.engine.claims.exchange import Exchange
from mainspring.engine.claims.slots import Slots
from mainspring.engine.journal.writer import JournalWriter, PublishingSink
from mainspring.engine.node.heartbeat import Heartbeat, HeartbeatTrigger
from mainspring.engine.node.node import Node
from mainspring.engine.scheduler import Scheduler
from mainspring.engine.upkeep.retention import Expirer
from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.timetable import next_tick
from mainspring.model.view import JobFilter
from mainspring.queue.kit.bodies import Bodies
from mainspring.queue.kit.executor import InlineExecutor
from mainspring.queue.kit.failures import OF_BODIES
from mainspring.queue.kit.store import ClockedNotes
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.supervision.event_bus import EventBus
from mainspring.telemetry.job_events import JobEvents
from mainspring.telemetry.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from mainspring.model.job import Outcome
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Subscriber
    from mainspring.queue.client import Registrations
    from mainspring.queue.kit.clock import MovedClock
    from mainspring.queue.kit.executor import InlineBody
    from mainspring.queue.kit.store import PrivateStore

LEASE_SECONDS = 60.0
MOST_JOBS = 1_000_000


class InlineWorker:
    """Runs the jobs of a private store one after the other, in the thread that asks for it.

    `declared` tells the schedules, `overrides` holds what stands in for resources. `retry_at_once`:
    a retry waits for no backoff.
    """

    def __init__(  # noqa: PLR0913  # as a consumer's config
        self,
        store: PrivateStore,
        clock: MovedClock,
        known: Registrations,
        declared: Callable[[], Sequence[NewSchedule]],
        *,
        overrides: Mapping[Callable[..., Any], object],
        processes: bool,
        retry_at_once: bool,
    ) -> None:
        self._store, self._clock, self._tasks, self._declared = store, clock, known.tasks, declared
        self._retry_at_once = retry_at_once
        self.ran = 0
        """Attempts that have ended, those that a body waited for included."""
        self._lock = RLock()
        self._events = EventBus()
        self._events.subscribe(log_event)
        self._node = Node(store, slots=1, lease=LEASE_SECONDS)
        self._exchange = Exchange(store, self._node, None, self._events.publish)
        feed = known.feed
        job_events = self.job_events = JobEvents(
            feed, known.codec, lambda: store, feed.publish_here
        )
        self._events.subscribe(job_events)
        notes = PublishingSink(ClockedNotes(store, clock), job_events, self._exchange.claim_of)
        self._journal = JournalWriter(notes, _plan_nothing)
        self._exchange.before_flush(self._journal.flush_of)
        self._record = self._journal.end_before(self._exchange.put)
        self._executor = InlineExecutor(clock)
        self._slots = Slots(self._executor, ())
        self._exchange.serve(self._slots)
        self._scheduler = Scheduler(
            store,
            (),
            known.tasks,
            self._events.publish,
            _plan_nothing,
            enqueued=job_events.enqueued,
        )
        self._expirer = Expirer(store, job_events.expired)
        beats = HeartbeatTrigger(LEASE_SECONDS)
        self._heartbeat = Heartbeat(self._node, self._exchange, beats, _report_nothing)
        self._bodies = Bodies(
            known.tasks,
            known.codec,
            clock,
            self._executor,
            completions=self._exchange.completions,
            note=self._journal.begin_after(self._node),
            on_note=self._journal.receive,
            middleware=known.middleware,
            resources=Resources(overrides),
            events=job_events,
            processes=processes,
        )
        self._seen: tuple[int, tuple[NewSchedule, ...]] | None = None
        self._node.join()
        job_records.install()
        self.look()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with what happens here."""
        self._events.subscribe(subscriber)

    @property
    def errors(self) -> dict[int, BaseException]:
        """The error that the last attempt of each job raised in this process, by the job's key."""
        return self._bodies.errors

    @property
    def is_running(self) -> bool:
        """True while a body runs."""
        return self._executor.running() > 0

    def run_all(self) -> None:
        """Run what is ready, and what that enqueues, and what runs beside it, to the end."""
        self.run_ready(never)
        while running.get() is None and self._bodies.run_helpers():
            self.run_ready(never)

    async def arun_all(self) -> None:
        """Do the same, coroutines on the running loop."""
        await self.arun_ready(never)
        while running.get() is None and await self._bodies.arun_helpers():
            await self.arun_ready(never)

    def run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, by which bodies run, on the running loop, beside the body that waits."""
        self._bodies.help(work)

    def run_ready(self, is_enough: Callable[[], bool]) -> None:
        """Run what is ready, and what that enqueues, until it is enough."""
        while not is_enough() and (body := self._begin()) is not None:
            try:
                outcome = self._bodies.run(body)
            except BaseException:
                self._end(body, released(body.claim))
                raise
            self._end(body, outcome)

    async def arun_ready(self, is_enough: Callable[[], bool]) -> None:
        """Do the same, coroutines on the running loop, as are resources that belong to one."""
        try:
            await self._arun_ready(is_enough)
        finally:
            await self._bodies.leave_loop()

    async def _arun_ready(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough() and (body := self._begin()) is not None:
            try:
                outcome = await self._bodies.arun(body)
            except BaseException:
                self._end(body, released(body.claim))
                raise
            self._end(body, outcome)

    def look(self) -> None:
        """Do by the clock what a worker does beside its jobs: renew, tick, expire, end in time."""
        with self._lock:
            seen = self._clock.micros, tuple(self._declared())
            if seen != self._seen:
                self._seen = seen
                self._heartbeat.beat()
                self._end_overdue()
                self._scheduler.declare(seen[1])
                self._scheduler.turn()
                self._expirer.expire()

    def flush(self) -> None:
        """Write what bodies have said."""
        self._journal.flush()

    def hear_orders(self) -> None:
        """End at once what was cancelled."""
        with self._lock:
            self._heartbeat.beat()

    def next_due(self, *, jobs: bool) -> int | None:
        """Return when the next tick is due, or the next job with `jobs`; None if nothing is.

        As stored time.
        """
        now = as_datetime(self._clock.micros)
        names = {one.name for one in self._declared()}
        records = [
            one
            for one in self._store.schedules().schedules
            if one.new.name in names or (one.new.added and one.new.task in self._tasks)
        ]
        due = [next_tick(record, now) for record in records if not record.paused]
        if jobs:
            pending = self._store.jobs(JobFilter(status=JobState.PENDING), limit=MOST_JOBS)
            due += [record.run_at for record in pending]
        return min((as_micros(one) for one in due if one is not None and one > now), default=None)

    def close(self) -> None:
        """Leave the store."""
        job_records.remove()
        self._bodies.close()
        self._node.leave()

    def _begin(self) -> InlineBody | None:
        with self._lock:
            self._follow()
            self.look()
            self._executor.is_asked = True
            try:
                self._exchange.turn()
                # Claims whose jobs have expired are given back by another turn.
                while not self._executor.waiting() and self._is_behind:
                    self._exchange.turn()
            finally:
                self._executor.is_asked = False
            claim = self._executor.next()
            if claim is None:
                return None
            return self._executor.enter(claim, self._bodies.timeout(claim))

    @property
    def _is_behind(self) -> bool:
        return self._exchange.in_flight > self._executor.running()

    def _follow(self) -> None:
        """Serve the tasks that were registered meanwhile."""
        new = [task.name for task in self._tasks if task.name not in self._slots.tasks]
        if new:
            self._exchange.move(dict.fromkeys(new, self._slots))

    def _end(self, body: InlineBody, outcome: Outcome) -> None:
        with self._lock:
            self.ran += outcome.kind is not OutcomeKind.RELEASED
            self._record(self._by_clock(body, outcome))
            self._exchange.turn()
            self._executor.leave(body)
        error = self.errors.get(body.claim.key)
        if error is not None and not isinstance(error, OF_BODIES):
            raise error  # the test's own end: of pytest.fail(), or of somebody at the keyboard

    def _by_clock(self, body: InlineBody, outcome: Outcome) -> Outcome:
        if self._retry_at_once and outcome.kind is OutcomeKind.RETRY:
            outcome = replace(outcome, delay=0.0)
        if not outcome.began:
            return outcome
        return replace(outcome, began=body.began, ended=self._clock.monotonic())

    def _end_overdue(self) -> None:
        for body in self._executor.bodies:
            if body.group is not None and body.deadline <= self._clock.monotonic():
                self._bodies.time_out(body)


def never() -> bool:
    """Return False: all that is ready is to be run."""
    return False


def _plan_nothing(moment: float) -> None:  # the seam's signature
    """Do nothing: it is called when it is time."""


def _report_nothing() -> None:
    """Report nothing: no view reads of this node."""
