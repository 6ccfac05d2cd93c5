"""Futures of a task. Who asks gets one of their own: cancelling it disturbs no one else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.errors import UnreadableError
from mainspring.model.error_text import name_of
from mainspring.model.job import JobState

if TYPE_CHECKING:
    import asyncio

    from mainspring.pool.record import Record


def future_of(record: Record, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    """Return a future that resolves when the task ends, or has done so if it has ended."""
    future: asyncio.Future[Any] = loop.create_future()
    if record.final:
        _resolve(future, record)
        return future
    if record.futures is None:
        record.futures = set()
    record.futures.add(future)
    # One that its owner cancels must not lie here for as long as the task runs.
    future.add_done_callback(record.futures.discard)
    return future


def resolve_all(record: Record) -> None:
    """Resolve the futures of everyone who waits for a task."""
    futures, record.futures = record.futures, None
    for future in futures or ():
        if not future.done():
            _resolve(future, record)


def _resolve(future: asyncio.Future[Any], record: Record) -> None:
    if record.state is JobState.CANCELLED:
        future.cancel()
    elif record.error is not None:
        _fail(future, record.task, record.error)
    else:
        future.set_result(record.result)


def _fail(future: asyncio.Future[Any], task: str, error: BaseException) -> None:
    try:
        future.set_exception(error)
        future.exception()  # seen: the record keeps it, and asyncio need not complain
    except BaseException as second:  # noqa: BLE001  # a user's class may do anything
        if not future.done():
            kinds = name_of(type(error)), name_of(type(second))
            future.set_exception(UnreadableError(task, *kinds))
            future.exception()
