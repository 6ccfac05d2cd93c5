"""A job with all that a store keeps of it, as it goes from one store to another.

Times are stored times: microseconds since the epoch, UTC.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from mainspring.model.job import Failure, JobState  # the types of a Struct's fields


class StoredAttempt(Struct, frozen=True, gc=False):
    """An attempt that was not the last; `node` is the name of the node that ran it."""

    fence: int
    node: str
    began_at: int
    ended_at: int
    outcome: str
    failure: Failure | None = None


class StoredLine(Struct, frozen=True, gc=False):
    """A line of a job's log, and the fence of the attempt that wrote it."""

    at: int
    fence: int
    text: str


class StoredJob(Struct, frozen=True, gc=False):
    """A job as a store keeps it.

    `delayed`: it waits for `run_at`. `attempts` counts the charged ones, `fence` the claims. `node`
    is the name of the one that runs it, or that ended it (None: it ended while it waited), since
    `began_at`; `failure` is that of a job that has ended. `unique` is its key as the store compares
    it, `progress` and `message` what its body said last, `past` its earlier attempts.
    """

    key: int
    nonce: int
    task: str
    queue: str
    state: JobState
    priority: int
    run_at: int
    created_at: int
    payload: bytes
    delayed: bool = False
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    unique: str | None = None
    expires_at: int | None = None
    options: bytes | None = None
    node: str | None = None
    began_at: int | None = None
    ended_at: int | None = None
    keep_until: int | None = None
    result: bytes | None = None
    failure: Failure | None = None
    progress: float | None = None
    message: str | None = None
    past: tuple[StoredAttempt, ...] = ()
    log: tuple[StoredLine, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The bytes of its texts, or nearly so."""
        texts = len(self.payload) + len(self.result or b"") + sum(len(one.text) for one in self.log)
        failures = [self.failure, *(one.failure for one in self.past)]
        return texts + sum(len(one.traceback) for one in failures if one is not None)


class Arrival(StrEnum):
    """The fate of a job that is imported."""

    KEPT = "kept"
    THERE = "there"
    KEY_TAKEN = "key taken"
    UNIQUE_TAKEN = "unique taken"


class StoredAnswer(Struct, frozen=True, gc=False):
    """The job that an idempotency key stands for until then, whatever has become of it."""

    idempotency_key: str
    key: int
    nonce: int
    until: int


class AnswerPage(Struct, frozen=True, gc=False):
    """Some idempotency keys, and the cursor after which the next ones come; None: these are all."""

    answers: list[StoredAnswer]
    cursor: str | None = None


class StoreMarks(Struct, frozen=True, gc=False):
    """The highest key of a job, and the highest fence of a named lock, that a store has given."""

    key: int
    lock_fence: int
