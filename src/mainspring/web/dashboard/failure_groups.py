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
    from collections.abc import Iterable
    from datetime import datetime

    from mainspring.protocols import Catalog
    from mainspring.web.dashboard.redaction import RedactedJob, Redaction

MOST_FAILURES = 1_000
"""Failed jobs that are read, the newest ones."""

MOST_SECONDS = 0.3
"""Time after which no more are read."""

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
    """Jobs of one task that failed alike: how many of those read, since when, and until when."""

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


def recent_failures(catalog: Catalog, redaction: Redaction) -> RecentFailures:
    """Return the groups of the newest failed jobs, as many as the bounds allow."""
    deadline, before = monotonic() + MOST_SECONDS, None
    failures: list[FailureSeen] = []
    while True:
        page = catalog.jobs(JobFilter(status=JobState.FAILED), before=before, limit=PAGE)
        failures += [failure_seen(redaction.of(record)) for record in page]
        whole = len(page) < PAGE
        if whole or len(failures) >= MOST_FAILURES or monotonic() > deadline:
            return RecentFailures(groups_of(failures), len(failures), whole=whole)
        before = page[-1].key


def groups_of(failures: Iterable[FailureSeen]) -> tuple[FailureGroup, ...]:
    """Return the groups of failures that come newest first; the largest group first."""
    members: dict[str, list[FailureSeen]] = {}
    for failure in failures:
        members.setdefault(failure.key, []).append(failure)
    groups = [_group(alike) for alike in members.values()]
    return tuple(sorted(groups, key=lambda group: (-group.count, group.task, group.key)))


def failure_seen(job: RedactedJob) -> FailureSeen:
    """Return what a failed job has to do with others; `key` names its group."""
    failure = job.record.failure
    kind, message = ("", "") if failure is None else (failure.type, job.text(failure.message))
    message = normalised(message)
    named = f"{job.record.task}\0{kind}\0{message}".encode("utf-8", "replace")
    return FailureSeen(
        key=hashlib.sha256(named).hexdigest()[:12],
        job_id=job.record.id,
        task=job.record.task,
        error=kind.removeprefix("builtins."),
        message=message,
        at=job.record.completed_at or job.record.created_at,
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
