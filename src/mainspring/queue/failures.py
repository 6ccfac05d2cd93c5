"""Failed jobs in groups: by task, type of the error, and message without what varies in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.job import JobState
from mainspring.model.normalised import normalised
from mainspring.model.value import Value
from mainspring.model.view import JobFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mainspring.model.view import JobRecord
    from mainspring.protocols import Catalog

MOST_FAILURES = 1_000
"""Failed jobs that are read, the newest ones."""

MOST_SECONDS = 0.3
"""Time after which no more are read, for a page that many look at."""

PAGE = 100
SAMPLES = 3


class FailureSeen(Value, frozen=True):
    """A failed job, without its arguments and traceback."""

    key: str
    job_id: str
    task: str
    error: str
    message: str
    at: datetime


class FailureGroup(Value, frozen=True):
    """Jobs of one task that failed alike: how many of those read, since when, and until when.

    `error` is the type's name, `message` its first line without numbers, ids and quoted words,
    `samples` ids of the newest.
    """

    key: str
    task: str
    error: str
    message: str
    count: int
    first: datetime
    last: datetime
    samples: tuple[str, ...]


class RecentFailures(Value, frozen=True):
    """Groups of the newest failed jobs, the largest first; `whole`: all that there are were read.

    `looked` says how many were read.
    """

    groups: tuple[FailureGroup, ...]
    looked: int
    whole: bool


def recent_failures(
    catalog: Catalog,
    wanted: JobFilter,
    seen: Callable[[JobRecord], FailureSeen],
    most: int = MOST_FAILURES,
    seconds: float = float("inf"),
) -> RecentFailures:
    """Return the groups of the newest failed jobs that fit, of as many as the bounds allow."""
    deadline, before = monotonic() + seconds, None
    failures: list[FailureSeen] = []
    while True:
        limit = min(PAGE, most - len(failures))
        page = catalog.jobs(wanted, before=before, limit=limit)
        failures += map(seen, page)
        whole = len(page) < limit
        if whole or len(failures) >= most or monotonic() > deadline:
            return RecentFailures(groups_of(failures), len(failures), whole=whole)
        before = page[-1].key


def failed_jobs(queue: str | None = None, task: str | None = None) -> JobFilter:
    """Return the filter of failed jobs."""
    return JobFilter(JobState.FAILED, queue, task)


def groups_of(failures: Iterable[FailureSeen]) -> tuple[FailureGroup, ...]:
    """Return the groups of failures that come newest first; the largest group first."""
    members: dict[str, list[FailureSeen]] = {}
    for failure in failures:
        members.setdefault(failure.key, []).append(failure)
    groups = [_group(alike) for alike in members.values()]
    return tuple(sorted(groups, key=lambda group: (-group.count, group.task, group.key)))


def failure_seen(record: JobRecord, message: str | None = None) -> FailureSeen:
    """Return what a failed job has to do with others; `message` takes the place of its own."""
    failure = record.failure
    kind, said = ("", "") if failure is None else (failure.type, failure.message)
    said = normalised(said if message is None else message)
    named = f"{record.task}\0{kind}\0{said}".encode("utf-8", "replace")
    return FailureSeen(
        key=hashlib.sha256(named).hexdigest()[:12],
        job_id=record.id,
        task=record.task,
        error=kind.removeprefix("builtins.").removeprefix("mainspring.errors."),
        message=said,
        at=record.completed_at or record.created_at,
    )


def _group(alike: list[FailureSeen]) -> FailureGroup:
    one = alike[0]
    return FailureGroup(
        key=one.key,
        task=one.task,
        error=one.error,
        message=one.message,
        count=len(alike),
        first=min(failure.at for failure in alike),
        last=max(failure.at for failure in alike),
        samples=tuple(failure.job_id for failure in alike[:SAMPLES]),
    )
