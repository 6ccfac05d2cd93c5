"""The task pool as the router sees it."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from mainspring.errors import DuplicateTaskError, InvalidArguments, NotRunning, WrongLoop
from mainspring.pool.body import PROGRESS, body_of
from mainspring.pool.task_types import types
from mainspring.web.port import Health, Refused, View

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import timedelta

    from mainspring.model.job import JobState
    from mainspring.pool.record import TaskInfo
    from mainspring.pool.worker import AsyncTaskWorker
    from mainspring.web.port import Order

UNPROCESSABLE, TOO_MANY, UNAVAILABLE, CONFLICT = 422, 429, 503, 409


class PoolPort:
    """An AsyncTaskWorker on the loop of the web server. `allow` narrows what may be started."""

    def __init__(self, worker: AsyncTaskWorker, allow: Collection[str] | None) -> None:
        self._worker = worker
        self._allow = None if allow is None else frozenset(allow)

    def types(self) -> list[str]:
        """Return the types that may be started over HTTP."""
        return [
            one.name
            for one in types
            if one.http and (self._allow is None or one.name in self._allow)
        ]

    async def start(self, order: Order) -> View:
        """Start a task, without waiting for a place; raises Refused."""
        function = self._function(order.task_type)
        _check_params(function, order.params)
        try:
            if self._worker.full:
                raise Refused(TOO_MANY, "queue_full", "too many tasks wait already; try again")
            handle = await self._worker.submit(
                function,
                kwargs=order.params,
                priority=order.priority,
                task_id=order.task_id,
                metadata=order.metadata,
                timeout=order.timeout,
                use_cache=order.use_cache,
                cache_ttl=order.cache_ttl,
            )
        except DuplicateTaskError as error:
            raise Refused(CONFLICT, "duplicate_id", str(error), "task_id") from error
        except InvalidArguments as error:
            raise Refused(UNPROCESSABLE, "wrong_params", str(error), "params") from error
        except (NotRunning, WrongLoop) as error:
            raise Refused(UNAVAILABLE, "not_running", str(error)) from error
        return view_of(handle.info)

    def get(self, task_id: str) -> View | None:
        """Return a task, None if there is none."""
        info = self._worker.get_task_info(task_id)
        return None if info is None else view_of(info)

    def newest(self, status: JobState | None, older_than: timedelta | None) -> Sequence[View]:
        """Return tasks newest first."""
        return [view_of(info) for info in self._worker.get_all_tasks(status, None, older_than)]

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task; False if it has ended."""
        return await self._worker.cancel_task(task_id)

    async def wait(self, task_id: str, timeout: float) -> None:  # noqa: ASYNC109  # as `asyncio.wait`
        """Wait for a task's end, for so many seconds at most."""
        try:
            future = self._worker.get_task_future(task_id)
        except KeyError:
            return
        try:
            await asyncio.wait([future], timeout=timeout)
        finally:
            future.cancel()

    def health(self) -> Health:
        """Return how the worker is."""
        stats = self._worker.stats()
        counts = {name: count for name, count in stats.items() if isinstance(count, int)}
        return Health(self._worker.running, counts.pop("max_workers"), counts["pending"], counts)

    def _function(self, task_type: str) -> Callable[..., Any]:
        found = types.get(task_type)
        # What may not be started over HTTP is as unknown there as what does not exist.
        if found is None or task_type not in self.types():
            detail = f"there is no task type {task_type!r}"
            raise Refused(UNPROCESSABLE, "unknown_type", detail, "task_type")
        return found.function


def view_of(info: TaskInfo) -> View:
    """Return a task as it is now."""
    return View(
        id=info.id,
        task_type=info.task,
        status=info.status,
        progress=info.progress,
        priority=info.priority,
        created_at=info.created_at,
        started_at=info.started_at,
        completed_at=info.completed_at,
        result=info.result,
        error=info.error,
        metadata=info.metadata,
        from_cache=info.from_cache,
    )


def _check_params(function: Callable[..., Any], params: dict[str, Any]) -> None:
    """Raise Refused for the first parameter that is missing, or that nobody asked for."""
    shape = body_of(function).shape
    if PROGRESS in params:
        _refuse(PROGRESS, "is the pool's to give")
    if shape is None:
        return
    by_name = {
        name: one
        for name, one in shape.signature.parameters.items()
        if one.kind in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    }
    kinds = {one.kind for one in shape.signature.parameters.values()}
    for name in params:
        if name not in by_name and inspect.Parameter.VAR_KEYWORD not in kinds:
            _refuse(name, "is not a parameter of this task type")
    for name, one in by_name.items():
        if one.default is one.empty and name not in params:
            _refuse(name, "is missing")


def _refuse(name: str, why: str) -> None:
    raise Refused(UNPROCESSABLE, "wrong_params", f"{name} {why}", f"params.{name}")
