"""Model of a store, kept in the simplest way: a list of jobs and no index."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.model.job import (
    CANCELLED,
    EXPIRED,
    FINAL,
    OUTCOME_STEP,
    TRANSITIONS,
    JobState,
    OutcomeKind,
    Step,
)
from mainspring.model.retry import delay_after_crash

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mainspring.model.job import NewJob, Outcome, Want
    from mainspring.model.note import Note

DAY = 86_400.0
CHARGED = frozenset(OutcomeKind) - {
    OutcomeKind.RELEASED,
    OutcomeKind.SNOOZED,
    OutcomeKind.CRASHED,
}
LOST = "mainspring.errors.WorkerLost"


@dataclass(eq=False)
class ModelJob:
    """A job as it ought to be. Times are whole seconds of the frozen clock.

    `ready`: an exchange has seen that it is due, and it stays so when the clock jumps back.
    `outcomes` are the words of its history, each with the type of its failure; `error` is the type
    of its own. `id` is None while it is being enqueued.
    """

    task: str
    queue: str
    number: int
    unique: str | None
    payload: bytes = b""
    priority: int = 0
    run_at: float = 0.0
    ready: bool = True
    expires_at: float | None = None
    options: bytes | None = None
    id: str | None = None
    state: JobState = JobState.PENDING
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    node: int | None = None
    cancelling: bool = False
    ended_at: float | None = None
    keep_until: float | None = None
    error: str | None = None
    progress: float = 0.0
    message: str = ""
    outcomes: list[tuple[str, str | None]] = field(default_factory=list)
    recorded: dict[tuple[int | None, int], str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def place(self) -> tuple[int, float, int]:
        """Return what the order of claims goes by."""
        return self.priority, self.run_at, self.number

    def live(self) -> bool:
        """Return True until it has ended."""
        return self.state not in FINAL

    def expired(self, now: float) -> bool:
        """Return True if it must not start any more."""
        return self.expires_at is not None and self.expires_at <= now

    def old(self, now: float, kept: float) -> bool:
        """Return True if it need not be kept any longer."""
        if self.ended_at is None:
            return False
        return now >= (self.ended_at + kept if self.keep_until is None else self.keep_until)

    def take(self, new: NewJob, now: float) -> None:
        """Apply an enqueue."""
        self.payload, self.priority = new.payload, new.priority
        self.run_at, self.ready = now + new.delay, new.delay == 0
        self.expires_at = None if new.expires is None else now + new.expires
        self.options = new.options

    def end(self, state: JobState, error: str | None, now: float) -> None:
        """Be final."""
        self.state, self.error, self.ended_at, self.cancelling = state, error, now, False

    def part(self, word: str, error: str | None, now: float) -> None:
        """Leave its node and wait again; or end, if it was asked to be cancelled."""
        holder = self.node
        if self.cancelling:
            word, error = JobState.CANCELLED.value, CANCELLED.type
            self.end(JobState.CANCELLED, error, now)
        else:
            self.state, self.node, self.error = JobState.PENDING, None, error
        self.note(word, error, holder)

    def note(self, word: str, error: str | None, holder: int | None) -> None:
        """Add a line to the history."""
        self.outcomes.append((word, error))
        self.recorded[holder, self.fence] = word

    def settle(self, outcome: Outcome, now: float) -> None:
        """Apply an outcome of the current claim."""
        error = None if outcome.failure is None else outcome.failure.type
        self.crashes += outcome.crashed or outcome.kind is OutcomeKind.CRASHED
        self.attempts += outcome.kind in CHARGED and not outcome.crashed
        state = TRANSITIONS[JobState.RUNNING, OUTCOME_STEP[outcome.kind]]
        if state in FINAL:
            self.end(state, error, now)
            self.note(state.value, error, self.node)
            if state is JobState.COMPLETED and outcome.keep is not None:
                self.keep_until = now + outcome.keep
            return
        self.part(outcome.kind.value, error, now)
        stays = outcome.kind in {OutcomeKind.RELEASED, OutcomeKind.CRASHED} and not outcome.delay
        if self.live() and not stays:
            self.run_at, self.ready = now + outcome.delay, outcome.delay == 0

    def crash(self, now: float) -> None:
        """Count the loss of its node."""
        self.crashes += 1
        delay = delay_after_crash(self.crashes)
        if delay is None:
            self.end(JobState.FAILED, LOST, now)
            self.note(JobState.FAILED.value, LOST, self.node)
            return
        self.part(OutcomeKind.CRASHED.value, LOST, now)
        if delay and self.live():
            self.run_at, self.ready = now + delay, False

    def revive(self, payload: bytes | None, now: float) -> None:
        """Start anew, with its history."""
        self.state, self.node, self.ended_at = JobState.PENDING, None, None
        self.attempts = self.crashes = 0
        self.run_at, self.ready, self.expires_at = now, True, None
        self.error = self.outcomes[-1][1] if self.outcomes else None
        self.payload = self.payload if payload is None else payload

    def move(self, delay: float | None, priority: int | None, now: float) -> None:
        """Wait for another time, or with another priority."""
        self.priority = self.priority if priority is None else priority
        if delay is not None:
            self.run_at = now + delay if delay else min(self.run_at, now)
            self.ready = delay == 0

    def hear(self, note: Note) -> None:
        """Apply a note of the last claim."""
        self.progress = self.progress if note.progress is None else note.progress
        self.message = self.message if note.message is None else note.message
        self.log += [text for _, text in note.lines]


class Rejected(Exception):
    """A live job bears the unique key."""

    def __init__(self, job: ModelJob) -> None:
        self.job = job


class StoreModel:
    """The jobs, the live nodes with the end of their leases, keys and pauses."""

    def __init__(self) -> None:
        self.jobs: list[ModelJob] = []
        self.nodes: dict[int, float] = {}
        self.gone: list[str] = []
        self.paused: set[str] = set()
        self.answers: dict[str, tuple[float, ModelJob]] = {}
        self._made = 0

    def enqueue(self, jobs: Sequence[NewJob], now: float) -> list[ModelJob] | ModelJob:
        """Keep jobs and return each call's answer; or keep none, and return who is in the way."""
        before = [(job, copy.copy(job)) for job in self.jobs]
        answers = dict(self.answers)
        try:
            return [self._keep(new, now) for new in jobs]
        except Rejected as refused:
            self.jobs = [job for job, _ in before]
            self.answers = answers
            for job, was in before:
                vars(job).update(vars(was))
            return refused.job

    def _keep(self, new: NewJob, now: float) -> ModelJob:
        key = new.idempotency_key
        if key in self.answers and self.answers[key][0] > now:
            return self.answers[key][1]
        job = self.bearer(new.unique)
        if job is None:
            self._made += 1
            job = ModelJob(new.task, new.queue, self._made, new.unique)
            job.take(new, now)
            self.jobs.append(job)
        elif new.on_conflict == "raise":
            raise Rejected(job)
        elif new.on_conflict == "replace":
            if job.state is JobState.RUNNING:
                raise Rejected(job)
            job.take(new, now)
        if key is not None:
            self.answers[key] = now + DAY, job
        return job

    def bearer(self, unique: str | None) -> ModelJob | None:
        """Return the live job that bears a unique key."""
        live = (job for job in self.jobs if job.live() and unique is not None)
        return next((job for job in live if job.unique == unique), None)

    def known(self, job_id: str) -> ModelJob | None:
        """Return the job of that id."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def waiting(self, want: Want) -> list[ModelJob]:
        """Return the pending jobs that a want is for, but for those of paused queues."""
        return [
            job
            for job in self.jobs
            if job.state is JobState.PENDING
            and job.task in want.tasks
            and (want.queues is None or job.queue in want.queues)
            and job.queue not in self.paused
        ]

    def leased(self, node: int, now: float) -> bool:
        """Return True if a node may claim."""
        return self.nodes[node] > now

    def promote(self, wants: Collection[Want], now: float) -> float | None:
        """Make ready what is due; return the seconds until the first delayed job may start."""
        waiting = [job for want in wants for job in self.waiting(want)]
        for job in waiting:
            job.ready = job.ready or job.run_at <= now
        return min((job.run_at - now for job in waiting if not job.ready), default=None)

    def claimable(self, want: Want) -> list[ModelJob]:
        """Return what a want ought to get, in order."""
        due = sorted([job for job in self.waiting(want) if job.ready], key=ModelJob.place)
        if want.suspects is not None:
            last = [job for job in due if delay_after_crash(job.crashes + 1) is None]
            due = [job for job in due if job not in last[want.suspects :]]
        return due[: want.limit]

    def claim(self, job: ModelJob, node: int) -> None:
        """Assign a job to a node."""
        job.state, job.node, job.fence = JobState.RUNNING, node, job.fence + 1

    def held(self, node: int) -> list[ModelJob]:
        """Return what a node holds."""
        return [job for job in self.jobs if job.node == node and job.state is JobState.RUNNING]

    def lose(self, node: int, begun: Collection[ModelJob], now: float) -> list[ModelJob]:
        """End a node; only what had begun has crashed. Return what it held."""
        del self.nodes[node]
        held = self.held(node)
        for job in held:
            if job in begun:
                job.crash(now)
            else:
                job.part(OutcomeKind.RELEASED.value, None, now)
        return held

    def cancel(self, job: ModelJob | None, now: float) -> bool:
        """Cancel a job; return whether it was live."""
        if job is None or not job.live():
            return False
        if job.state is JobState.RUNNING:
            job.cancelling = True
        else:
            job.end(JobState.CANCELLED, CANCELLED.type, now)
        return True

    def retry(self, job: ModelJob | None, payload: bytes | None, now: float) -> str | None:
        """Let a job run again; return the id of the live one."""
        if job is None or (job.state, Step.REVIVE) not in TRANSITIONS:
            return None
        bearer = self.bearer(job.unique)
        if bearer is not None:
            return bearer.id
        job.revive(payload, now)
        return job.id

    def reschedule(
        self, job: ModelJob | None, delay: float | None, priority: int | None, now: float
    ) -> bool:
        """Move a job in its line; return whether it waited."""
        if job is None or job.state is not JobState.PENDING:
            return False
        job.move(delay, priority, now)
        return True

    def expire(self, now: float) -> int:
        """Cancel what waits past its expiry."""
        late = [job for job in self.jobs if job.state is JobState.PENDING and job.expired(now)]
        for job in late:
            job.end(JobState.CANCELLED, EXPIRED.type, now)
        return len(late)

    def purge(self, now: float, *, completed_after: float, failed_after: float) -> int:
        """Drop what ended so long ago, or is not to be kept any longer."""
        kept = dict.fromkeys(JobState, completed_after) | {JobState.FAILED: failed_after}
        return self.drop([job for job in self.jobs if job.old(now, kept[job.state])])

    def drop(self, jobs: Collection[ModelJob]) -> int:
        """Drop those that are final."""
        final = [job for job in jobs if not job.live()]
        self.gone += [job.id for job in final if job.id is not None]
        self.jobs = [job for job in self.jobs if job not in final]
        return len(final)
