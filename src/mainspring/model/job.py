"""A job and its way: states, claims, outcomes, and the one table of allowed transitions.

The values that cross the store by the hundred thousand are `msgspec.Struct`s (a frozen dataclass
takes twenty times as long to make); see docs/decisions/0003-values.md.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class JobState(StrEnum):
    """What a job is; the same five words everywhere."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States that a job leaves by a manual retry or a purge only."""


class OutcomeKind(StrEnum):
    """What an attempt ends in."""

    COMPLETED = "completed"
    RETRY = "retry"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"
    RELEASED = "released"
    CRASHED = "crashed"


class Step(StrEnum):
    """What can happen to a job: the columns of the table of transitions."""

    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    FAIL = "fail"
    SNOOZE = "snooze"
    RELEASE = "release"
    CANCEL = "cancel"
    RESCUE = "rescue"
    CRASH_OUT = "crash out"
    REVIVE = "revive"


TRANSITIONS: dict[tuple[JobState, Step], JobState] = {
    (JobState.PENDING, Step.CLAIM): JobState.RUNNING,
    (JobState.PENDING, Step.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, Step.COMPLETE): JobState.COMPLETED,
    (JobState.RUNNING, Step.RETRY): JobState.PENDING,
    (JobState.RUNNING, Step.FAIL): JobState.FAILED,
    (JobState.RUNNING, Step.SNOOZE): JobState.PENDING,
    (JobState.RUNNING, Step.RELEASE): JobState.PENDING,
    (JobState.RUNNING, Step.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, Step.RESCUE): JobState.PENDING,
    (JobState.RUNNING, Step.CRASH_OUT): JobState.FAILED,
    (JobState.FAILED, Step.REVIVE): JobState.PENDING,
    (JobState.CANCELLED, Step.REVIVE): JobState.PENDING,
}
"""Every change of state there is; what is not in it does not happen."""

OUTCOME_STEP: dict[OutcomeKind, Step] = {
    OutcomeKind.COMPLETED: Step.COMPLETE,
    OutcomeKind.RETRY: Step.RETRY,
    OutcomeKind.FAILED: Step.FAIL,
    OutcomeKind.CANCELLED: Step.CANCEL,
    OutcomeKind.SNOOZED: Step.SNOOZE,
    OutcomeKind.RELEASED: Step.RELEASE,
    OutcomeKind.CRASHED: Step.RESCUE,
}


class NewJob(Struct, frozen=True, gc=False):
    """A request to run `task`, as it goes into a store.

    `payload` is the encoded arguments (a JSON text), `delay` seconds until it may start;
    lower `priority` is more urgent.
    """

    task: str
    queue: str
    payload: bytes
    priority: int = 0
    delay: float = 0.0


class Want(Struct, frozen=True, gc=False):
    """What a node can start now: up to `limit` jobs of these tasks and queues (None: any queue)."""

    tasks: tuple[str, ...]
    queues: tuple[str, ...] | None
    limit: int


class Claim(Struct, frozen=True, gc=False):
    """A store's grant of one attempt to a node.

    `key` is the store's own number of the job, `id` its public name. `attempt` counts from 1 and
    includes this one; `crashes` counts workers lost while they ran it, and charges no attempt.
    """

    key: int
    id: str
    fence: int
    task: str
    queue: str
    payload: bytes
    attempt: int
    crashes: int


class Failure(Struct, frozen=True, gc=False):
    """The evidence of a failed attempt: the type's full name, its message and traceback text."""

    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """Read as the last line of a traceback does."""
        return f"{self.type.removeprefix('builtins.')}: {self.message}"


class Outcome(Struct, frozen=True, gc=False):
    """What an attempt ended in, for the job's row.

    `began` and `ended` are `time.monotonic()` of the node (0.0: the body never began); the store
    turns them into its own time by their age. `result` is an encoded JSON text, set if and only if
    completed. `delay` is the seconds until the next attempt of a retried or snoozed job. A crash is
    counted by the store, which says by `model.retry.delay_after_crash` what becomes of the job.
    """

    key: int
    fence: int
    kind: OutcomeKind
    began: float = 0.0
    ended: float = 0.0
    result: bytes | None = None
    failure: Failure | None = None
    delay: float = 0.0


class Exchanged(Struct, frozen=True, gc=False):
    """What an exchange gave: one flag an outcome (False: the fence was stale), and new claims.

    `next_due` is the seconds until the first delayed job may start, None when there is none.
    """

    accepted: list[bool]
    claims: list[Claim]
    next_due: float | None = None


class Rescued(Struct, frozen=True, gc=False):
    """What became of a dead node's jobs: keys that run again, and keys that failed for good."""

    requeued: list[int]
    failed: list[int]


class AttemptRecord(Struct, frozen=True, gc=False):
    """One line of a job's history. Times are aware UTC; `outcome` is None while it runs.

    `number` is the claim's fence, so released and crashed attempts have a line of their own.
    """

    number: int
    node: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    failure: Failure | None


class JobRecord(Struct, frozen=True, gc=False):
    """A job as the store holds it at one moment. Times are aware UTC."""

    key: int
    id: str
    task: str
    queue: str
    priority: int
    state: JobState
    payload: bytes
    attempts: int
    crashes: int
    created_at: datetime
    run_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    node: str | None = None
    result: bytes | None = None
    failure: Failure | None = None


class Ended(Struct, frozen=True, gc=False):
    """How a job ended: what a waiting `result()` needs and no more."""

    key: int
    task: str
    state: JobState
    result: bytes | None
    failure: Failure | None


class NodeRecord(Struct, frozen=True, gc=False):
    """A consumer as the store sees it; `expires_in` is the seconds its lease still runs."""

    key: int
    name: str
    host: str
    pid: int
    expires_in: float
    running: int
