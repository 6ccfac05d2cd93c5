"""The names of atasker."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from mainspring import (
    TASK_CRITICAL,
    TASK_HIGH,
    TASK_LOW,
    TASK_NORMAL,
    TT_COROUTINE,
    TT_MP,
    TT_THREAD,
    LocalProxy,
    Locker,
    TaskSupervisor,
    background_task,
    background_worker,
    co_mp_apply,
    g,
    set_debug,
    task_supervisor,
)
from mainspring import wait_completed as wait_for_results
from mainspring.background.task import BackgroundTask
from mainspring.compat.collections import FunctionCollection, TaskCollection
from mainspring.compat.workers import (
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "TASK_CRITICAL",
    "TASK_HIGH",
    "TASK_LOW",
    "TASK_NORMAL",
    "TASK_STATUS_CANCELED",
    "TASK_STATUS_COMPLETED",
    "TASK_STATUS_DELAYED",
    "TASK_STATUS_QUEUED",
    "TASK_STATUS_STARTED",
    "TT_COROUTINE",
    "TT_MP",
    "TT_THREAD",
    "BackgroundAsyncWorker",
    "BackgroundEventWorker",
    "BackgroundIntervalWorker",
    "BackgroundQueueWorker",
    "BackgroundWorker",
    "FunctionCollection",
    "LocalProxy",
    "Locker",
    "TaskCollection",
    "TaskSupervisor",
    "background_task",
    "background_worker",
    "co_mp_apply",
    "g",
    "set_debug",
    "task_supervisor",
    "wait_completed",
]

TASK_STATUS_QUEUED = 0
TASK_STATUS_DELAYED = 2
TASK_STATUS_STARTED = 100
TASK_STATUS_COMPLETED = 200
TASK_STATUS_CANCELED = -1


def wait_completed(
    tasks: BackgroundTask[Any] | Future[Any] | Iterable[BackgroundTask[Any] | Future[Any]],
    timeout: float | None = None,
) -> Any:
    """Wait for a task, or for several; return the result, or the list of them in order.

    None for one that raised or was cancelled. Raises `TimeoutError` after `timeout` seconds.
    """
    if isinstance(tasks, BackgroundTask | Future):
        return wait_completed([tasks], timeout)[0]
    futures = [_future_of(one) for one in tasks]
    wait_for_results([_end_of(future) for future in futures], timeout)
    return [_result_of(future) for future in futures]


def _future_of(task: Any) -> Future[Any]:
    future: Future[Any] = task if isinstance(task, Future) else task.future
    return future


def _end_of(future: Future[Any]) -> Future[None]:
    """Return a future of its end, however it ends."""
    end: Future[None] = Future()
    future.add_done_callback(lambda _: end.set_result(None))
    return end


def _result_of(future: Future[Any]) -> Any:
    try:
        return future.result(0)
    except (Exception, CancelledError):  # noqa: BLE001  as it is there
        return None
