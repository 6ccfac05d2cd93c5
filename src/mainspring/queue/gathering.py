"""Waiting for several jobs: all of them, or each as it ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.clock import monotonic
from mainspring.engine.attempts.running import waiting_for
from mainspring.errors import InvalidOption, MainspringError
from mainspring.model.options import SECONDS
from mainspring.queue.job_handle import JobHandle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator, Sequence

    from mainspring.queue.client import QueueClient

T = TypeVar("T")

AT_ONCE = 50
"""Waits that begin in one turn of an event loop, which takes some milliseconds."""

_TIMEOUT = SECONDS.or_none("None to wait without end")


def gather(
    jobs: Iterable[JobHandle[Any]], timeout: float | None, *, return_exceptions: bool
) -> list[Any]:
    """Return the results in the order of the jobs; raises the first error that comes."""
    handles = handles_of("Queue.gather()", jobs)
    results: dict[JobHandle[Any], Any] = {}
    for job in as_completed(handles, timeout):
        try:
            results[job] = job.result()
        except MainspringError as error:
            if not return_exceptions:
                raise
            results[job] = error
    return [results[job] for job in handles]


def as_completed(jobs: Iterable[JobHandle[T]], timeout: float | None) -> Iterator[JobHandle[T]]:
    """Yield each job as it ends; raises TimeoutError."""
    handles = handles_of("Queue.as_completed()", jobs)
    limit = _TIMEOUT("Queue.as_completed()", "timeout", timeout)
    deadline = math.inf if limit is None else monotonic() + limit
    ended: SimpleQueue[JobHandle[T]] = SimpleQueue()
    waiting = dict.fromkeys(handles)
    # All in one look: to wait for each takes long enough for many to end before their time.
    for job in _ended_among(waiting):
        del waiting[job]
        yield job
    left = len(waiting)
    with ExitStack() as waits:
        for job in waiting:
            # Of this package: a handle's own way to wait, without its result.
            waits.enter_context(waiting_for(job._awaited))  # noqa: SLF001  # see above
            on_end = partial(_put, ended, job)
            waits.callback(job._client.subscribe(job.id, on_end))  # noqa: SLF001  # see above
            if monotonic() > deadline:
                break
        while left:
            wait = None if deadline == math.inf else max(0.0, deadline - monotonic())
            try:
                job = ended.get(timeout=wait)
            except Empty:
                raise _late(left, len(handles), limit) from None
            left -= 1
            yield job


async def agather(
    jobs: Iterable[JobHandle[Any]], limit: float | None, *, return_exceptions: bool
) -> list[Any]:
    """Return the results as `gather` does, without blocking the event loop."""
    import asyncio  # noqa: PLC0415  # a lazy door

    handles = handles_of("Queue.agather()", jobs)
    limit = _TIMEOUT("Queue.agather()", "timeout", limit)
    waits: list[asyncio.Future[Any]] = []
    timer = asyncio.timeout(limit)
    try:
        async with timer:
            async for wait, _ in _begun(handles):
                waits.append(wait)
            return list(await asyncio.gather(*waits, return_exceptions=return_exceptions))
    except TimeoutError:
        if not timer.expired():
            raise
        left = len(handles) - len(waits) + _unfinished(waits)
        raise _late(left, len(handles), limit) from None
    finally:
        for wait in waits:
            wait.cancel()


async def aas_completed(
    jobs: Iterable[JobHandle[T]], limit: float | None
) -> AsyncIterator[JobHandle[T]]:
    """Yield each job as it ends, without blocking the event loop."""
    import asyncio  # noqa: PLC0415  # as above

    handles = handles_of("Queue.aas_completed()", jobs)
    limit = _TIMEOUT("Queue.aas_completed()", "timeout", limit)
    deadline = math.inf if limit is None else monotonic() + limit
    ended: asyncio.Queue[asyncio.Future[T]] = asyncio.Queue()
    waits: dict[asyncio.Future[T], JobHandle[T]] = {}
    left = len(dict.fromkeys(handles))
    try:
        async for wait, job in _begun(dict.fromkeys(handles)):
            waits[wait] = job
            wait.add_done_callback(ended.put_nowait)
            if monotonic() > deadline:
                break
        while left:
            try:
                async with asyncio.timeout(None if limit is None else deadline - monotonic()):
                    wait = await ended.get()
            except TimeoutError:
                raise _late(left, len(handles), limit) from None
            wait.exception()  # it is looked at: who asks the job for its result gets it
            left -= 1
            yield waits[wait]
    finally:
        for wait in waits:
            wait.cancel()


async def _begun(
    jobs: Iterable[JobHandle[T]],
) -> AsyncIterator[tuple[asyncio.Future[T], JobHandle[T]]]:
    """Yield a wait for each job; others of the loop run between a few and the next."""
    import asyncio  # noqa: PLC0415  # as above

    for number, job in enumerate(jobs, 1):
        yield asyncio.ensure_future(job.aresult()), job
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


def handles_of(owner: str, jobs: object) -> list[JobHandle[Any]]:
    """Return jobs as a list; raises InvalidOption for what is no handle."""
    handles: list[Any] = list(jobs) if isinstance(jobs, Iterable) else [None]
    if all(isinstance(job, JobHandle) for job in handles):
        return handles
    raise InvalidOption("jobs", jobs, owner=owner, expected="the handles that delay() returned")


def _ended_among(jobs: Iterable[JobHandle[T]]) -> list[JobHandle[T]]:
    ids: dict[QueueClient, list[str]] = {}
    for job in jobs:
        ids.setdefault(job._client, []).append(job.id)  # noqa: SLF001  # as above
    ended = {job_id for client, some in ids.items() for job_id in client.ended(some)}
    return [job for job in jobs if job.id in ended]


def _put(ended: SimpleQueue[JobHandle[T]], job: JobHandle[T], _how: object) -> None:
    ended.put(job)


def _unfinished(waits: Sequence[asyncio.Future[Any]]) -> int:
    return sum(not wait.done() or wait.cancelled() for wait in waits)


def _late(left: int, count: int, timeout: float | None) -> TimeoutError:
    return TimeoutError(f"{left} of {count} jobs have not ended after {timeout or 0:g} s")
