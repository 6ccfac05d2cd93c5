"""Records that views read from a store, as values of one moment."""

from __future__ import annotations

from datetime import datetime  # the type of a Struct's field

from msgspec import Struct

from mainspring.model.job import Failure, JobState  # as above
from mainspring.model.job_options import NO_OWN_OPTIONS, JobOptions


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


def progress_at(state: JobState, said: float) -> float:
    """Return the progress of a job in that state whose body said it was so far."""
    return 1.0 if state is JobState.COMPLETED else said


class JobRecord(Struct, frozen=True, gc=False):
    """A job as the store holds it at one moment. Times are aware UTC.

    `cancelling`: it runs, and was asked to be cancelled. `progress` (0 to 1) and `message` are what
    its body last reported; a completed job is at 1, see `progress_at`. `options` are its own.
    """

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
    expires_at: datetime | None = None
    cancelling: bool = False
    progress: float = 0.0
    message: str = ""
    options: JobOptions = NO_OWN_OPTIONS


class NodeRecord(Struct, frozen=True, gc=False):
    """A consumer as the store sees it; `expires_in` is the seconds its lease still runs.

    `serves` and `report` are JSON texts of its own: what it runs, and how it is. `unreadable` names
    the other fields that the store holds no sound value of.
    """

    key: int
    name: str
    host: str
    pid: int
    expires_in: float
    running: int
    serves: bytes = b"{}"
    report: bytes = b"{}"
    unreadable: tuple[str, ...] = ()


class LockRecord(Struct, frozen=True, gc=False):
    """A named lock that is held: by the node of that key and name, with that fence.

    `since` is when it was granted (aware UTC, by the holder's clock), None for the first second.
    """

    name: str
    node: int
    node_name: str
    fence: int
    since: datetime | None = None


class LaneRecord(Struct, frozen=True, gc=False):
    """The jobs of one task in one queue: how many wait to be claimed, now or later.

    `scheduled` are those of them whose time has not come, `oldest_ready` the seconds for which the
    first of the others could have run; None: there is no other.
    """

    queue: str
    task: str
    pending: int
    scheduled: int = 0
    oldest_ready: float | None = None


class JobFilter(Struct, frozen=True):
    """Filter of jobs: those that fit every field that is not None.

    `search` is a text that stands in the job's id, task, arguments or error, whatever its case,
    `tag` one of its tags.
    """

    status: JobState | None = None
    queue: str | None = None
    task: str | None = None
    search: str | None = None
    tag: str | None = None


class SearchPage(Struct, frozen=True, gc=False):
    """Result of a search: jobs, newest first, among the `looked` that it read.

    `before` is the key after which the next page begins; None: no job is left.
    """

    records: list[JobRecord]
    looked: int
    before: int | None
