"""Jobs named by ids or handles, one or many, and what is done to all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mainspring.clock import monotonic
from mainspring.engine.upkeep.batches import batch_sizes
from mainspring.errors import InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.job import JobState
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.listing import filter_of
from mainspring.queue.queue_task import Call

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from mainspring.protocols import JobStore
    from mainspring.queue.client import QueueClient

JobRef = str | JobHandle[Any]


def ids_of(owner: str, jobs: JobRef | Iterable[JobRef]) -> list[str]:
    """Return the ids of jobs; raises InvalidOption for what is neither an id nor a handle."""
    several = [jobs] if isinstance(jobs, (str, JobHandle)) else list(jobs)
    return [id_of(owner, job) for job in several]


def id_of(owner: str, job: object) -> str:
    """Return the id of a job; raises InvalidOption for what is neither an id nor a handle."""
    if isinstance(job, JobHandle):
        return job.id
    if isinstance(job, str):
        return job
    raise InvalidOption("jobs", job, owner=owner, expected="ids or handles, one or many")


def calls_of(calls: object) -> list[Call[Any]]:
    """Return what was given as calls; raises InvalidOption for anything else."""
    several = list(calls) if isinstance(calls, Iterable) else None
    if several is not None and all(isinstance(call, Call) for call in several):
        return several
    expected = "what task.call() makes, as in [add.call(1, 2), send.call('you')]"
    raise InvalidOption("calls", calls, owner="Queue.enqueue_many()", expected=expected)


def enqueue(client: QueueClient, calls: Sequence[Call[Any]]) -> list[JobHandle[Any]]:
    """Enqueue calls in one transaction; raises InvalidOption if it can't be one."""
    return _handles(
        client, calls, client.enqueue([one.job for one in calls], _connection_of(calls))
    )


async def aenqueue(client: QueueClient, calls: Sequence[Call[Any]]) -> list[JobHandle[Any]]:
    """Enqueue calls in one transaction without blocking the loop; raises as `enqueue` does."""
    jobs, connection = [call.job for call in calls], _connection_of(calls)
    return _handles(client, calls, await client.aenqueue_many(jobs, connection))


def _connection_of(calls: Sequence[Call[Any]]) -> Any:
    connection = calls[0].connection if calls else None
    if any(call.connection is not connection for call in calls):
        expected = "the same connection for all calls of a batch, or none"
        raise InvalidOption("conn", "several", owner="Queue.enqueue_many()", expected=expected)
    return connection


def _handles(
    client: QueueClient, calls: Sequence[Call[Any]], ids: Sequence[str]
) -> list[JobHandle[Any]]:
    return [
        JobHandle(client, job_id, call.job.task) for job_id, call in zip(ids, calls, strict=True)
    ]


def retry(client: QueueClient, jobs: JobRef | Iterable[JobRef]) -> list[JobHandle[Any] | None]:
    """Let failed and cancelled jobs run again; return the live job for each."""
    live = client.retry(ids_of("Queue.retry()", jobs))
    return [None if job_id is None else handle_of(client, job_id) for job_id in live]


def handle_of(client: QueueClient, job_id: str) -> JobHandle[Any] | None:
    """Return a handle of the job, None if there is none (any more)."""
    record = client.get(job_id)
    return None if record is None else JobHandle(client, record.id, record.task)


def purge(
    store: JobStore,
    *,
    status: str | None,
    queue: str | None,
    task: str | None,
    older_than: float | timedelta,
) -> int:
    """Drop final jobs; return how many. Raises InvalidOption."""
    wanted = filter_of(status, queue, task)
    if wanted.status in (JobState.PENDING, JobState.RUNNING):
        expected = "a final state, or None for all three: cancel jobs that are live first"
        raise InvalidOption("status", status, owner="Queue.purge()", expected=expected)
    seconds = seconds_of("Queue.purge()", "older_than", older_than)
    dropped, began = 0, monotonic()
    for size in batch_sizes():
        # What ends while it goes on stays.
        age = seconds + monotonic() - began
        count = store.drop_ended(wanted, older_than=age, limit=size)
        dropped += count
        if count < size:
            break
    return dropped
