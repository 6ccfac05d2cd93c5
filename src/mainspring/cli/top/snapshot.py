"""A queue at one moment, as the screen shows it: read from the catalog like every other view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.text.job import attempt_rows, job_lines
from mainspring.clock import utc_now
from mainspring.model.job import JobState
from mainspring.model.normalised import normalised
from mainspring.model.value import Value
from mainspring.stores.public_url import public_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mainspring.model.lost_node import LostNode
    from mainspring.model.view import JobRecord
    from mainspring.queue import Queue
    from mainspring.queue.nodes import NodeInfo

MOST_RUNNING = 200
MOST_FAILED = 500
"""Jobs that are read of those that run, and of those that have failed, the newest ones."""


class FailingTask(Value, frozen=True):
    """Failed jobs of one task that failed alike: the newest error, when, and all that were read."""

    task: str
    error: str
    last: datetime
    job_ids: tuple[str, ...]


class JobDetails(Value, frozen=True):
    """One job: its fields, why it does not run, its attempts, log and traceback."""

    id: str
    state: JobState
    lines: tuple[str, ...]
    reasons: tuple[str, ...]
    attempts: tuple[tuple[str, ...], ...]
    log: tuple[str, ...]
    traceback: tuple[str, ...] = ()


class Snapshot(Value, frozen=True):
    """`stats` are those of `Queue.stats`; `rate`: jobs completed a second since the one before.

    `job` is the one that is looked into, None if there is none (any more).
    """

    at: datetime
    url: str
    stats: Mapping[str, Any]
    nodes: tuple[NodeInfo, ...]
    lost: tuple[LostNode, ...]
    paused: frozenset[str]
    running: tuple[JobRecord, ...]
    failing: tuple[FailingTask, ...]
    rate: float | None = None
    job: JobDetails | None = None


def read_snapshot(queue: Queue, job_id: str | None, before: Snapshot | None) -> Snapshot:
    """Return the queue as it is now; raises what the store raises."""
    stats, now = queue.stats(), utc_now()
    running = queue.jobs(status=JobState.RUNNING, limit=MOST_RUNNING).records
    failed = queue.dead_letters(limit=MOST_FAILED).records
    return Snapshot(
        now,
        public_url(queue.url),
        stats,
        tuple(queue.nodes()),
        tuple(queue.lost_nodes()),
        frozenset(queue.paused()),
        tuple(sorted(running, key=lambda job: job.started_at or now)),
        failing_tasks(failed),
        None if before is None else _rate(before, stats, now),
        None if job_id is None else _picture(queue, job_id, now),
    )


def failing_tasks(records: Iterable[JobRecord]) -> tuple[FailingTask, ...]:
    """Return failed jobs, newest first, in groups of task and error, the largest first.

    Errors are alike whose messages differ in numbers, ids or quoted texts, as in the dashboard.
    """
    groups: dict[tuple[str, ...], list[JobRecord]] = {}
    for record in records:
        failure = record.failure
        error = ("", "") if failure is None else (failure.type, normalised(failure.message))
        groups.setdefault((record.task, *error), []).append(record)
    failing = [
        FailingTask(
            alike[0].task,
            _error_of(alike[0]),
            max(one.completed_at or one.created_at for one in alike),
            tuple(one.id for one in alike),
        )
        for alike in groups.values()
    ]
    return tuple(sorted(failing, key=lambda one: (-len(one.job_ids), one.task, one.error)))


def _error_of(record: JobRecord) -> str:
    said = "" if record.failure is None else str(record.failure).partition("\n")[0]
    return said.removeprefix("mainspring.errors.")


def _rate(before: Snapshot, stats: Mapping[str, Any], now: datetime) -> float:
    seconds = max((now - before.at).total_seconds(), 0.001)
    # What was purged meanwhile makes it less, and must not make it negative.
    return float(max(stats["completed"] - before.stats["completed"], 0) / seconds)


def _picture(queue: Queue, job_id: str, now: datetime) -> JobDetails | None:
    job = queue.get_job(job_id)
    if job is None:
        return None
    record = job.record
    return JobDetails(
        job_id,
        record.state,
        tuple(job_lines(record)),
        tuple(str(reason) for reason in job.explain().reasons),
        tuple(attempt_rows(job.history, now)),
        tuple(f"{line.at:%H:%M:%S} {line.text}" for line in job.log),
        () if record.failure is None else tuple(record.failure.traceback.rstrip().split("\n")),
    )
