"""What a store ought to hold, kept in the simplest way: a list of jobs and no index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, OUTCOME_STEP, TRANSITIONS, JobState, OutcomeKind
from mainspring.model.retry import delay_after_crash

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.model.job import NewJob, Outcome, Want

KEEPS_PLACE = frozenset({OutcomeKind.RELEASED})
CHARGED = frozenset(OutcomeKind) - {
    OutcomeKind.RELEASED,
    OutcomeKind.SNOOZED,
    OutcomeKind.CRASHED,
}


@dataclass(eq=False)
class ModelJob:
    """A job as it ought to be. Times are whole seconds of the frozen clock."""

    id: str
    new: NewJob
    number: int
    run_at: float
    state: JobState = JobState.PENDING
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    node: int | None = None
    ended_at: float | None = None
    outcomes: list[str] = field(default_factory=list)

    def place(self) -> tuple[int, float, int]:
        """Return what the order of claims goes by."""
        return self.new.priority, self.run_at, self.number

    def seen(self) -> tuple[JobState, int, int, bool, list[str | None]]:
        """Return what views ought to show: state, attempts, crashes, has a node, history."""
        running = self.state is JobState.RUNNING
        history: list[str | None] = [*self.outcomes, None] if running else [*self.outcomes]
        has_node = self.state is not JobState.PENDING
        return self.state, self.attempts + running, self.crashes, has_node, history


class StoreModel:
    """The jobs and the live nodes with the end of their leases."""

    def __init__(self) -> None:
        self.jobs: list[ModelJob] = []
        self.nodes: dict[int, float] = {}
        self.purged: list[str] = []

    def enqueue(self, job_id: str, new: NewJob, now: float) -> None:
        """Keep a job."""
        self.jobs.append(ModelJob(job_id, new, len(self.jobs) + len(self.purged), now + new.delay))

    def claimable(self, want: Want, now: float) -> list[ModelJob]:
        """Return what a want ought to get, in order."""
        due = [
            job
            for job in self.jobs
            if job.state is JobState.PENDING
            and job.run_at <= now
            and job.new.task in want.tasks
            and (want.queues is None or job.new.queue in want.queues)
        ]
        return sorted(due, key=ModelJob.place)[: want.limit]

    def next_due(self, wants: Collection[Want], now: float) -> float | None:
        """Return the seconds until the first delayed job of the wants may start."""
        waiting = [
            job.run_at - now
            for want in wants
            for job in self.jobs
            if job.state is JobState.PENDING and job.run_at > now
            if job.new.task in want.tasks and (want.queues is None or job.new.queue in want.queues)
        ]
        return min(waiting, default=None)

    def claim(self, job: ModelJob, node: int) -> None:
        """Give a job to a node."""
        job.state, job.node, job.fence = JobState.RUNNING, node, job.fence + 1

    def held(self, node: int) -> list[ModelJob]:
        """Return what a node holds."""
        return [job for job in self.jobs if job.node == node and job.state is JobState.RUNNING]

    def settle(self, job: ModelJob, outcome: Outcome, now: float) -> None:
        """Take an outcome of the current claim."""
        if outcome.kind is OutcomeKind.CRASHED:
            self.crash(job, now)
            return
        job.outcomes.append(outcome.kind.value)
        job.attempts += outcome.kind in CHARGED
        job.state = TRANSITIONS[JobState.RUNNING, OUTCOME_STEP[outcome.kind]]
        if job.state in FINAL:
            job.ended_at = now
        elif outcome.kind not in KEEPS_PLACE:
            job.run_at = now + outcome.delay

    def crash(self, job: ModelJob, now: float) -> None:
        """Count a crash."""
        job.crashes += 1
        delay = delay_after_crash(job.crashes)
        job.outcomes.append("failed" if delay is None else "crashed")
        job.state = JobState.FAILED if delay is None else JobState.PENDING
        job.ended_at = now if delay is None else None
        job.run_at = now + delay if delay else job.run_at

    def lose(self, node: int, begun: Collection[ModelJob], now: float) -> None:
        """End a node; only what had begun has crashed."""
        del self.nodes[node]
        for job in self.held(node):
            if job in begun:
                self.crash(job, now)
            else:
                job.outcomes.append("released")
                job.state = JobState.PENDING

    def purge(self, now: float, age: float) -> int:
        """Drop what ended at least `age` seconds ago."""
        old = [job for job in self.jobs if job.ended_at is not None and job.ended_at <= now - age]
        self.purged += [job.id for job in old]
        self.jobs = [job for job in self.jobs if job not in old]
        return len(old)
