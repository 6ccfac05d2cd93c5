"""A job in memory, and what can happen to it. Knows nothing of lanes, nodes or locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.model.job import CANCELLED, Claim, Ended, Failure, JobState, OutcomeKind
from mainspring.model.job_options import NO_OWN_OPTIONS, read_options, tags_in
from mainspring.model.note import LogLine  # the type of a Struct's field
from mainspring.model.view import AttemptRecord, JobRecord, progress_at
from mainspring.stores.clock import as_datetime
from mainspring.stores.rules.enqueue import expires_at
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of

if TYPE_CHECKING:
    from mainspring.model.crash import CrashDecision
    from mainspring.model.job import NewJob, Outcome
    from mainspring.stores.clock import Moment
    from mainspring.stores.rules.outcomes import Effect


class PastAttempt(Struct, frozen=True):
    """An attempt that is over. Stored times; `holder` is the key of its node."""

    number: int
    holder: int | None
    node: str
    began_at: int
    ended_at: int
    outcome: str
    failure: Failure | None

    def record(self) -> AttemptRecord:
        """Return it as views read it."""
        return AttemptRecord(
            number=self.number,
            node=self.node,
            started_at=as_datetime(self.began_at),
            ended_at=as_datetime(self.ended_at),
            outcome=self.outcome,
            failure=self.failure,
        )


class Job(Struct):
    """All there is of a job. Stored times; `attempts` counts the charged ones.

    `delayed` says that it waits for `run_at`; once ready, it stays so if the clock jumps back.
    `place` is its entry in a lane, which is stale once the job has another.
    """

    key: int
    id: str
    task: str
    queue: str
    priority: int
    payload: bytes
    created_at: int
    run_at: int
    delayed: bool = False
    unique: str | None = None
    expires_at: int | None = None
    options: bytes | None = None
    tags: tuple[str, ...] = ()
    state: JobState = JobState.PENDING
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    node: int | None = None
    node_name: str | None = None
    claimed_at: int | None = None
    cancelling: bool = False
    ended_at: int | None = None
    keep_until: int | None = None
    result: bytes | None = None
    failure: Failure | None = None
    progress: float = 0.0
    message: str = ""
    past: list[PastAttempt] = []
    log: list[LogLine] = []
    place: object = None

    @property
    def running(self) -> bool:
        """True if a node holds it."""
        return self.state is JobState.RUNNING

    def claim(self, node: int, name: str, moment: Moment) -> Claim:
        """Assign the job to a node."""
        self.state = JobState.RUNNING
        self.node, self.node_name, self.claimed_at = node, name, moment.micros
        self.fence += 1
        return self.grant(moment)

    def grant(self, moment: Moment) -> Claim:
        """Return the claim by which its node holds it."""
        return Claim(
            key=self.key,
            id=self.id,
            fence=self.fence,
            task=self.task,
            queue=self.queue,
            payload=self.payload,
            attempt=self.attempts + 1,
            crashes=self.crashes,
            expired=self.expired(moment),
            options=self.options,
            ready_at=moment.monotonic(self.run_at),
        )

    def expired(self, moment: Moment) -> bool:
        """Return whether its expiry has passed."""
        return self.expires_at is not None and self.expires_at <= moment.micros

    def holds(self, node: int, fence: int) -> bool:
        """Return whether it runs on that node, by that claim."""
        return self.state is JobState.RUNNING and (self.node, self.fence) == (node, fence)

    def settle(self, outcome: Outcome, moment: Moment) -> None:
        """Apply an outcome of the current claim."""
        effect = effect_of(outcome)
        self.attempts += effect.charged
        self.crashes += effect.crashed
        began_at = moment.at(outcome.began) if outcome.began else None
        ended_at = moment.at(outcome.ended) if outcome.ended else moment.micros
        if not effect.final:
            self._part(outcome.kind, outcome.failure, began_at=began_at, ended_at=ended_at)
            self._place_again(outcome, effect, moment)
            return
        self.result = outcome.result
        if (keeping := keeping_of(outcome)) is not None:
            self.keep_until = ended_at + keeping
        self._end(effect.state, outcome.failure, began_at=began_at, ended_at=ended_at)

    def recorded(self, node: int, fence: int) -> str | None:
        """Return the outcome on record of an earlier claim, in the word of the history."""
        claims = (one for one in self.past if (one.number, one.holder) == (fence, node))
        return next((one.outcome for one in claims), None)

    def release(self, moment: Moment) -> None:
        """Go back to its place, uncharged."""
        self._part(OutcomeKind.RELEASED, None, began_at=None, ended_at=moment.micros)

    def crash(self, decision: CrashDecision, moment: Moment) -> None:
        """Apply the loss of its node while its body ran."""
        self.crashes = decision.crashes
        if decision.delay is None:
            self._end(JobState.FAILED, decision.failure, began_at=None, ended_at=moment.micros)
            return
        self._part(OutcomeKind.CRASHED, decision.failure, began_at=None, ended_at=moment.micros)
        if decision.delay and self.state is JobState.PENDING:
            self.run_at = moment.after(decision.delay)
            self.delayed = True

    def end_waiting(self, failure: Failure, moment: Moment) -> None:
        """Be cancelled before any attempt."""
        self.state = JobState.CANCELLED
        self.failure = failure
        self.ended_at = moment.micros

    def replace(self, new: NewJob, moment: Moment) -> None:
        """Apply a later enqueue with the same unique key, while it waits."""
        self.payload, self.priority = new.payload, new.priority
        self.run_at, self.delayed = moment.after(new.delay), new.delay > 0
        self.expires_at = expires_at(new, moment)
        self.options, self.tags = new.options, tags_in(new.options)

    def reschedule(self, delay: float | None, priority: int | None, moment: Moment) -> None:
        """Wait for another time, or with another priority."""
        if priority is not None:
            self.priority = priority
        if delay is not None:
            now, self.delayed = moment.micros, delay > 0
            self.run_at = moment.after(delay) if self.delayed else min(self.run_at, now)

    def revive(self, payload: bytes | None, moment: Moment) -> None:
        """Wait again after a final state, as if new."""
        self.state, self.node, self.node_name, self.claimed_at = JobState.PENDING, None, None, None
        self.attempts = self.crashes = 0
        self.run_at, self.delayed = moment.micros, False
        self.expires_at = self.ended_at = None
        # While it waits, its failure is that of its last attempt; a waiting one's cancel was none.
        self.failure = self.past[-1].failure if self.past else None
        self.payload = self.payload if payload is None else payload

    def _place_again(self, outcome: Outcome, effect: Effect, moment: Moment) -> None:
        keeps_place = effect.keeps_place and not outcome.delay
        if self.state is JobState.PENDING and not keeps_place:
            self.run_at = moment.after(outcome.delay)
            self.delayed = outcome.delay > 0

    def _part(
        self,
        kind: OutcomeKind,
        failure: Failure | None,
        *,
        began_at: int | None,
        ended_at: int,
    ) -> None:
        """Leave its node and wait; or end, if it was asked to be cancelled."""
        if self.cancelling:
            self._end(JobState.CANCELLED, CANCELLED, began_at=began_at, ended_at=ended_at)
            return
        self._note(kind.value, failure, began_at=began_at, ended_at=ended_at)
        self.state = JobState.PENDING
        self.node = self.node_name = self.claimed_at = None

    def _end(
        self, state: JobState, failure: Failure | None, *, began_at: int | None, ended_at: int
    ) -> None:
        self._note(state.value, failure, began_at=began_at, ended_at=ended_at)
        self.state, self.ended_at, self.cancelling = state, ended_at, False

    def _note(
        self, outcome: str, failure: Failure | None, *, began_at: int | None, ended_at: int
    ) -> None:
        self.failure = failure
        self.past = [
            *self.past,
            PastAttempt(
                number=self.fence,
                holder=self.node,
                node=self.node_name or "",
                began_at=began_at or self.claimed_at or ended_at,
                ended_at=ended_at,
                outcome=outcome,
                failure=failure,
            ),
        ]

    def history(self) -> list[AttemptRecord]:
        """Return every attempt, oldest first."""
        records = [attempt.record() for attempt in self.past]
        if self.state is JobState.RUNNING:
            records.append(
                AttemptRecord(
                    number=self.fence,
                    node=self.node_name or "",
                    started_at=as_datetime(self.claimed_at or 0),
                    ended_at=None,
                    outcome=None,
                    failure=None,
                )
            )
        return records

    def ended(self) -> Ended:
        """Return how it ended."""
        return Ended(
            key=self.key,
            task=self.task,
            state=self.state,
            result=self.result,
            failure=self.failure,
        )

    def record(self) -> JobRecord:
        """Return it as views read it."""
        final = self.past[-1] if self.node is not None and self.ended_at is not None else None
        started_at = self.claimed_at if final is None else final.began_at
        return JobRecord(
            key=self.key,
            id=self.id,
            task=self.task,
            queue=self.queue,
            priority=self.priority,
            state=self.state,
            payload=self.payload,
            attempts=self.attempts + (self.state is JobState.RUNNING),
            crashes=self.crashes,
            created_at=as_datetime(self.created_at),
            run_at=as_datetime(self.run_at),
            started_at=None if started_at is None else as_datetime(started_at),
            completed_at=None if self.ended_at is None else as_datetime(self.ended_at),
            node=self.node_name,
            result=self.result,
            failure=self.failure,
            expires_at=None if self.expires_at is None else as_datetime(self.expires_at),
            cancelling=self.cancelling,
            progress=progress_at(self.state, self.progress),
            message=self.message,
            options=NO_OWN_OPTIONS if self.options is None else read_options(self.options),
        )
