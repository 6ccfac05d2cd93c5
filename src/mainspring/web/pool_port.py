"""The task pool as the router sees it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.errors import DuplicateTaskError, InvalidArguments, NotRunning, WrongLoop
from mainspring.pool.body import PROGRESS, body_of
from mainspring.pool.task_types import types
from mainspring.web.arguments import TaskArguments
from mainspring.web.port import Health, TaskPage, TaskView
from mainspring.web.refusal import ArgumentProblem, Refused, WrongParams

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mainspring.pool.record import TaskInfo
    from mainspring.pool.worker import AsyncTaskWorker
    from mainspring.web.port import Order, Search


class PoolPort:
    """An AsyncTaskWorker on the loop of the web server. `allow` narrows what may be started."""

    not_taken = ("tags",)

    def __init__(self, worker: AsyncTaskWorker, allow: Collection[str] | None) -> None:
        self._worker = worker
        self._allow = None if allow is None else frozenset(allow)
        self._arguments: dict[str, TaskArguments] = {}

    def arguments(self) -> list[TaskArguments]:
        """Return the arguments of each type that may be started over HTTP."""
        return [self._arguments_of(name, self._function(name)) for name in self.types()]

    def types(self) -> list[str]:
        """Return the types that may be started over HTTP."""
        return [
            one.name
            for one in types
            if one.http and (self._allow is None or one.name in self._allow)
        ]

    async def start(self, order: Order) -> TaskView:
        """Start a task, without waiting for a place; raises Refused."""
        function = self._function(order.task_type)
        if PROGRESS in order.params:
            raise WrongParams([ArgumentProblem((PROGRESS,), "is the pool's to give", "extra")])
        params = self._arguments_of(order.task_type, function).checked(order.params)
        if order.tags is not None:
            raise _no_tags("tags")
        try:
            if self._worker.full:
                detail = "too many tasks wait already; try again"
                raise Refused(429, "queue_full", detail, retry_after=1)
            handle = await self._worker.submit(
                function,
                kwargs=params,
                priority=0 if order.priority is None else order.priority,
                task_id=order.task_id,
                metadata={**(order.metadata or {}), "task_type": order.task_type},
                timeout=order.timeout,
                use_cache=order.use_cache,
                cache_ttl=order.cache_ttl,
            )
        except DuplicateTaskError as error:
            raise Refused(409, "duplicate_id", str(error), "task_id") from error
        except InvalidArguments as error:
            raise Refused(422, "wrong_params", str(error), "params") from error
        except (NotRunning, WrongLoop) as error:
            raise Refused(503, "not_running", str(error)) from error
        return view_of(handle.info)

    async def get(self, task_id: str) -> TaskView | None:
        """Return a task, None if there is none."""
        info = self._worker.get_task_info(task_id)
        return None if info is None else view_of(info)

    async def page(self, search: Search) -> TaskPage:
        """Return tasks in the order that is asked for."""
        if search.tag is not None:
            raise _no_tags("tag")
        infos = self._worker.get_all_tasks(search.status, None, search.older_than)
        views = [view_of(info) for info in infos]
        return _page_of(views if search.order == "newest" else views[::-1], search)

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

    async def health(self) -> Health:
        """Return how the worker is."""
        stats = self._worker.stats()
        counts = {name: count for name, count in stats.items() if isinstance(count, int)}
        return Health(self._worker.running, counts.pop("max_workers"), counts["pending"], counts)

    def _arguments_of(self, name: str, function: Callable[..., Any]) -> TaskArguments:
        known = self._arguments.get(name)
        if known is None or known.function is not function:
            shape = body_of(function).shape
            signature = None if shape is None else shape.signature
            known = self._arguments[name] = TaskArguments(name, function, signature)
        return known

    def _function(self, task_type: str) -> Callable[..., Any]:
        found = types.get(task_type)
        # What may not be started over HTTP is as unknown there as what does not exist.
        if found is None or task_type not in self.types():
            detail = f"there is no task type {task_type!r}"
            raise Refused(422, "unknown_type", detail, "task_type")
        return found.function


def view_of(info: TaskInfo) -> TaskView:
    """Return a task as it is now."""
    return TaskView(
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


def _no_tags(field: str) -> Refused:
    return Refused(422, "not_supported", "tasks of a pool have no tags, but metadata", field)


def _page_of(views: Sequence[TaskView], search: Search) -> TaskPage:
    limit, newest_first = search.limit, search.order == "newest"
    rest = views[((search.page or 1) - 1) * limit :]
    if search.cursor is not None:
        rest = _after(views, search.cursor, newest_first=newest_first)
    taken = list(rest[:limit])
    return TaskPage(taken, _cursor(taken[-1]) if len(rest) > limit else None)


def _cursor(view: TaskView) -> str:
    text = f"{view.created_at.isoformat()} {view.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _after(views: Sequence[TaskView], cursor: str, *, newest_first: bool) -> Sequence[TaskView]:
    created_at, task_id = _read(cursor)
    for number, view in enumerate(views):
        if view.id == task_id:
            return views[number + 1 :]
    # Its task is forgotten: what is older comes next, or what is younger.
    if newest_first:
        return [view for view in views if view.created_at < created_at]
    return [view for view in views if view.created_at > created_at]


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        moment, _, task_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        # Astimezone, so that a moment without a zone can be compared as well.
        created_at = datetime.fromisoformat(moment).astimezone(UTC)
    except (binascii.Error, ValueError, OverflowError) as error:
        detail = "it is none of ours; take next_cursor of the page before"
        raise Refused(422, "invalid", detail, "cursor") from error
    return created_at, task_id
