"""A job and its way: states, claims, outcomes, and the one table of allowed transitions.

The values that cross the store by the hundred thousand are `msgspec.Struct`s (a frozen dataclass
takes twenty times as long to make); see docs/decisions/0003-values.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Protocol

from msgspec import Struct

OnConflict = Literal["return_existing", "raise", "replace"]
"""Reaction of an enqueue to a live job with the same unique key."""

Grant = tuple[int, int]
"""Key and fence of a claim: what a store calls it by."""


class JobState(StrEnum):
    """The state of a job, or of a pool's task: one of the same five words everywhere.

    A str: it equals and prints as its word. COMPLETED, FAILED and CANCELLED are final.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States that a job leaves by a manual retry or a purge only."""


class OutcomeKind(StrEnum):
    """The way an attempt ended."""

    COMPLETED = "completed"
    RETRY = "retry"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"
    RELEASED = "released"
    CRASHED = "crashed"


class Step(StrEnum):
    """An event in the life of a job: the columns of the table of transitions."""

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
    lower `priority` is more urgent. At most one live job bears a `unique` key, and within 24 hours
    one job an `idempotency_key`; both are the store's to compare, not to read. `expires` is the
    seconds after which it may not start any more, `options` a JSON text of its own options.
    """

    task: str
    queue: str
    payload: bytes
    priority: int = 0
    delay: float = 0.0
    unique: str | None = None
    on_conflict: OnConflict = "return_existing"
    idempotency_key: str | None = None
    expires: float | None = None
    options: bytes | None = None


class Want(Struct, frozen=True, gc=False):
    """The work that a node can start: up to `limit` jobs of these tasks and queues (None: any).

    At most `suspects` of them (None: any number) may be jobs whose next crash would be their last.
    """

    tasks: tuple[str, ...]
    queues: tuple[str, ...] | None
    limit: int
    suspects: int | None = None


class RunningJob(Protocol):
    """A job whose body runs, as the body and its log records read it: a claim or a pool's task."""

    @property
    def id(self) -> str:
        """The job's public name."""
        ...

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def queue(self) -> str:
        """The queue it came from."""
        ...

    @property
    def attempt(self) -> int:
        """The attempt's number, from 1."""
        ...

    @property
    def crashes(self) -> int:
        """The number of workers that died while they ran it."""
        ...


class Claim(Struct, frozen=True, gc=False):
    """A store's grant of one attempt to a node.

    `key` is the store's own number of the job, `id` its public name. `attempt` counts from 1 and
    includes this one; `crashes` counts workers lost while they ran it, and charges no attempt.
    `expired` says that it must not start any more: its attempt is to end as cancelled. `options`
    are those of `NewJob`. `ready_at` is the node's `time.monotonic()` from which the job could have
    run, by the store's clock (None: not known).
    """

    key: int
    id: str
    fence: int
    task: str
    queue: str
    payload: bytes
    attempt: int
    crashes: int
    expired: bool = False
    options: bytes | None = None
    ready_at: float | None = None


class Failure(Struct, frozen=True, gc=False):
    """The evidence of a failed attempt: the type's full name, its message and traceback text."""

    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """Read as the last line of a traceback does."""
        kind = self.type.removeprefix("builtins.")
        return f"{kind}: {self.message}" if self.message else kind


CANCELLED = Failure("mainspring.errors.JobCancelled", "it was asked to be cancelled")
"""The evidence of a job that was cancelled by request."""

EXPIRED = Failure("mainspring.errors.JobExpired", "its expiry passed before it could start")
"""The evidence of a job that came too late to start."""


class Outcome(Struct, frozen=True, gc=False):
    """The end of an attempt, for the job's row.

    `began` and `ended` are `time.monotonic()` of the node (0.0: the body never began); the store
    turns them into its own time by their age. `result` is an encoded JSON text, set if and only if
    completed. `delay` is the seconds until the next attempt of a job that was retried, snoozed or
    crashed; 0.0 leaves a crashed one its place in line. `crashed` goes with FAILED: the last crash
    was one too many, so a crash is counted and no attempt charged. `keep` is the seconds for which
    a completed job is to be kept (None: as the purger says).
    """

    key: int
    fence: int
    kind: OutcomeKind
    began: float = 0.0
    ended: float = 0.0
    result: bytes | None = None
    failure: Failure | None = None
    delay: float = 0.0
    keep: float | None = None
    crashed: bool = False


class Exchanged(Struct, frozen=True, gc=False):
    """Result of an exchange: one flag an outcome (False: the fence was stale), and new claims.

    `next_due` is the seconds until the first delayed job may start, None when there is none.
    `lapsed`: the node's lease has run out, and it is given no claims before it has renewed it.
    """

    accepted: list[bool]
    claims: list[Claim]
    next_due: float | None = None
    lapsed: bool = False


class Renewed(Struct, frozen=True, gc=False):
    """Result of a renewal: key and fence of each job of the node that is to be cancelled."""

    cancel: tuple[Grant, ...] = ()


class Rescued(Struct, frozen=True, gc=False):
    """A dead node's jobs, by key: requeued, failed or cancelled."""

    requeued: list[int]
    failed: list[int]
    cancelled: list[int] = []


class Notice(Struct, frozen=True, gc=False):
    """A wake-up: there may be something new of the jobs with these keys; None: of any job."""

    keys: frozenset[int] | None = None

    def __add__(self, other: Notice) -> Notice:
        if self.keys is None or other.keys is None:
            return ANY_JOB
        return Notice(self.keys | other.keys)


ANY_JOB = Notice()


class Ended(Struct, frozen=True, gc=False):
    """The end of a job: what a waiting `result()` needs and no more."""

    key: int
    task: str
    state: JobState
    result: bytes | None
    failure: Failure | None
