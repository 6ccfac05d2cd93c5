"""Waiting for tasks, in a thread or in a coroutine that starts one."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mainspring.background.supervisor.front import task_supervisor
from mainspring.background.task import TT_MP, TT_THREAD, BackgroundTask, TaskPlan
from mainspring.clock import monotonic
from mainspring.model.options import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

R = TypeVar("R")

APPLY_OPTIONS = ("priority", "delay", "supervisor", "callback", "name", "daemon")


@overload
def wait_completed(tasks: BackgroundTask[R] | Future[R], timeout: float | None = None) -> R: ...
@overload
def wait_completed(
    tasks: Iterable[BackgroundTask[R] | Future[R]], timeout: float | None = None
) -> list[R]: ...
def wait_completed(
    tasks: BackgroundTask[Any] | Future[Any] | Iterable[BackgroundTask[Any] | Future[Any]],
    timeout: float | None = None,
) -> Any:
    """Wait for a task, or for several; return the result, or the list of them in order.

    Raises what a task raised, `CancelledError` for a cancelled one, `TimeoutError` after `timeout`
    seconds altogether.
    """
    if isinstance(tasks, BackgroundTask | Future):
        return _future_of(tasks).result(timeout)
    futures = [_future_of(one) for one in tasks]  # all of them begin before one is waited for
    deadline = None if timeout is None else monotonic() + timeout
    return [
        one.result(None if deadline is None else max(deadline - monotonic(), 0)) for one in futures
    ]


async def co_apply(
    function: Callable[..., R],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> R:
    """Call a function in the thread pool from a coroutine, and return what it returns.

    Options: `priority`, `delay`, `supervisor`.
    """
    result: R = await _apply(function, args, kwargs or {}, options, TT_THREAD)
    return result


async def co_mp_apply(
    function: Callable[..., R],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> R:
    """Call a function in the process pool from a coroutine, and return what it returns.

    Options: `priority`, `delay`, `supervisor`.
    """
    result: R = await _apply(function, args, kwargs or {}, options, TT_MP)
    return result


async def _apply(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    tt: str,
) -> Any:
    refuse_unknown("co_mp_apply" if tt == TT_MP else "co_apply", options, APPLY_OPTIONS)
    supervisor = options.pop("supervisor", None) or task_supervisor
    task: BackgroundTask[Any] = BackgroundTask(
        TaskPlan.of(function, {**options, "tt": tt}), args, kwargs
    )
    supervisor.put_task(task)
    return await asyncio.wrap_future(task.future)


def _future_of(task: BackgroundTask[Any] | Future[Any]) -> Future[Any]:
    return task.future if isinstance(task, BackgroundTask) else task
