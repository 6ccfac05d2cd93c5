"""A durable Queue as the router sees it.

The queue's calls block, for a disk or a server: each is made in a thread, so that the web server's
loop goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.clock import monotonic, utc_now
from mainspring.errors import (
    InvalidArguments,
    InvalidOption,
    JobError,
    JobGone,
    StoreBusy,
    StoreError,
)
from mainspring.model.job import JobState
from mainspring.model.signature import signature_of, without
from mainspring.model.task import MAX_PRIORITY
from mainspring.model.view import progress_at
from mainspring.web.arguments import TaskArguments
from mainspring.web.port import Health, TaskPage, TaskView
from mainspring.web.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from mainspring.model.task import Task
    from mainspring.model.view import JobRecord
    from mainspring.queue import Queue
    from mainspring.queue.job_handle import JobHandle
    from mainspring.queue.listing import JobPage
    from mainspring.web.port import Order, Search

T = TypeVar("T")

MOST_SECONDS = 1.0
"""Seconds that one request passes by jobs that are too young."""

PER_JOB = ("timeout", "metadata", "tags")


class QueuePort:
    """A queue whose tasks with `http=True` may be started; `allow` narrows them."""

    not_taken = ("task_id", "use_cache", "cache_ttl")
    """Options that an order may give to a pool; a durable task has them once and for all."""

    def __init__(self, queue: Queue, allow: Collection[str] | None) -> None:
        self._queue = queue
        self._allow = None if allow is None else frozenset(allow)
        self._arguments: dict[str, TaskArguments] = {}

    def arguments(self) -> list[TaskArguments]:
        """Return the arguments of each task that may be started over HTTP."""
        return [self._arguments_of(self._find(name)) for name in self.types()]

    def types(self) -> list[str]:
        """Return the tasks that may be started over HTTP."""
        return [
            task.name
            for task in self._queue.tasks
            if task.http and (self._allow is None or task.name in self._allow)
        ]

    async def start(self, order: Order) -> TaskView:
        """Enqueue a job; raises Refused."""
        task = self._find(order.task_type)
        params = self._arguments_of(task).checked(order.params)
        for field in self.not_taken:
            if getattr(order, field) is not None:
                detail = f"a durable job takes no {field} of its own"
                raise Refused(422, "not_supported", detail, field)
        view = await self.get(await self._enqueue(task.name, order, params))
        if view is None:
            raise Refused(503, "forgotten", "the job was enqueued, and is forgotten already")
        return view

    async def _enqueue(self, name: str, order: Order, params: dict[str, Any]) -> str:
        task: Any = self._queue.get_task(name)
        if order.priority is not None:
            task = task.using(priority=_whole(order.priority))
        for option in PER_JOB:
            task = _using(task, option, getattr(order, option))
        try:
            with _store_errors_as_responses():
                job = await task.adelay(**_storable(task, params, order.params))
        except InvalidArguments as error:
            raise Refused(422, "wrong_params", str(error), "params") from error
        return str(job.id)

    async def get(self, task_id: str) -> TaskView | None:
        """Return a job, None if there is none."""
        return await _in_thread(lambda: self._get(task_id))

    async def page(self, search: Search) -> TaskPage:
        """Return jobs in the order that is asked for."""
        return await _in_thread(lambda: self._page(search))

    async def cancel(self, task_id: str) -> bool:
        """Cancel a job; False if it has ended."""
        return await _in_thread(lambda: self._cancel(task_id))

    async def wait(self, task_id: str, timeout: float) -> None:  # noqa: ASYNC109  # as `asyncio.wait`
        """Wait for a job's end, for so many seconds at most."""
        job = await _in_thread(lambda: self._queue.get_job(task_id))
        if job is None:
            return
        waiting = asyncio.ensure_future(_end_of(job))
        try:
            await asyncio.wait([waiting], timeout=timeout)
        finally:
            waiting.cancel()

    async def health(self) -> Health:
        """Return how the queue is: it runs as long as its store answers."""
        return await _in_thread(self._health)

    def _arguments_of(self, task: Task) -> TaskArguments:
        known = self._arguments.get(task.name)
        if known is None or known.function is not task.function:
            signature = without(signature_of(task.function), task.injected)
            known = TaskArguments(task.name, task.function, signature)
            self._arguments[task.name] = known
        return known

    def _find(self, name: str) -> Task:
        # What may not be started over HTTP is as unknown there as what does not exist.
        found = [task for task in self._queue.tasks if task.name == name and name in self.types()]
        if not found:
            raise Refused(422, "unknown_type", f"there is no task type {name!r}", "task_type")
        return found[0]

    def _get(self, task_id: str) -> TaskView | None:
        job = self._queue.get_job(task_id)
        # It may be purged between the two.
        with suppress(LookupError):
            return None if job is None else view_of(job, job.record)
        return None

    def _cancel(self, task_id: str) -> bool:
        job = self._queue.get_job(task_id)
        return job is not None and job.cancel()

    def _page(self, search: Search) -> TaskPage:
        try:
            if search.older_than is None:
                page = self._jobs(search, search.cursor, search.page)
                return TaskPage(_views_of(page), page.cursor)
            if search.page is not None:
                detail = "pages by number go with no age; take next_cursor of the page before"
                raise Refused(422, "not_supported", detail, "page")
            return self._older(search, utc_now() - search.older_than)
        except InvalidOption as error:
            raise Refused(422, "invalid", str(error), error.option) from error

    def _older(self, search: Search, before: datetime) -> TaskPage:
        """Pass by the jobs that are too young; a page that only some are of may be a short one.

        Or an empty one, from which the next goes on: one request is not to look through them all.
        """
        cursor, deadline = search.cursor, monotonic() + MOST_SECONDS
        while True:
            page = self._jobs(search, cursor)
            old = [view for view in _views_of(page) if view.created_at <= before]
            if old or page.cursor is None:
                return TaskPage(old, page.cursor)
            if search.order == "oldest":
                return TaskPage([], None)  # all that follow are younger
            if monotonic() >= deadline:
                return TaskPage([], page.cursor)
            cursor = page.cursor

    def _jobs(self, search: Search, cursor: str | None, page: int | None = None) -> JobPage:
        return self._queue.jobs(
            status=search.status,
            tag=search.tag,
            cursor=cursor,
            page=page,
            order=search.order,
            limit=search.limit,
        )

    def _health(self) -> Health:
        stats = self._queue.stats()
        counts = {state.value: int(stats[state.value]) for state in JobState}
        return Health(
            running=True,
            worker_count=int(stats["workers"]),
            queue_size=counts["pending"],
            counts=counts,
        )


def _views_of(page: JobPage) -> list[TaskView]:
    return [view_of(job, record) for job, record in zip(page, page.records, strict=True)]


def view_of(job: JobHandle[Any], record: JobRecord) -> TaskView:
    """Return a job as the record tells it."""
    completed = record.state is JobState.COMPLETED
    return TaskView(
        id=record.id,
        task_type=record.task,
        status=record.state,
        progress=progress_at(record.state, record.progress),
        priority=record.priority,
        created_at=record.created_at,
        started_at=record.started_at,
        completed_at=record.completed_at,
        result=_result_of(job) if completed else None,
        error=None if record.failure is None else record.failure.message,
        metadata=record.options.metadata,
        from_cache=None,
        tags=record.options.tags,
        message=record.message,
        attempts=record.attempts,
        due_in=_due_in(record),
    )


def _due_in(record: JobRecord) -> float | None:
    if record.state is not JobState.PENDING:
        return None
    return max(0.0, (record.run_at - utc_now()).total_seconds())


def _storable(task: Any, params: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with texts and numbers as they came, where no job can hold what they became.

    That is a Path, say: the codec has no word for it, and the body gets the text.
    """
    return {
        name: value if value is given[name] or _fits(task, value) else _plain(value, given[name])
        for name, value in params.items()
    }


def _fits(task: Any, value: object) -> bool:
    try:
        task.codec.encode_call(task.name, (value,), {})
    except InvalidArguments:
        return False
    return True


def _plain(value: object, given: object) -> object:
    return given if isinstance(given, (str, int, float)) else value


def _using(task: Any, option: str, value: object) -> Any:
    try:
        return task if value is None else task.using(**{option: value})
    except InvalidOption as error:
        raise Refused(422, "invalid", str(error), option) from error


def _result_of(job: JobHandle[Any]) -> Any:
    try:
        return job.result(timeout=0)
    except Exception as error:  # noqa: BLE001  # it is shown in the result's place
        return error


async def _end_of(job: JobHandle[Any]) -> None:
    with suppress(JobError, LookupError, StoreError):
        await job


async def _in_thread(look: Callable[[], T]) -> T:
    with _store_errors_as_responses():
        return await asyncio.to_thread(look)


@contextmanager
def _store_errors_as_responses() -> Iterator[None]:
    """Turn errors of the store into responses."""
    try:
        yield
    except JobGone:
        raise  # a client's question, not the store's trouble
    except StoreBusy as error:
        raise Refused(503, "store_busy", str(error), retry_after=1) from error
    except StoreError as error:
        raise Refused(503, "store_unusable", str(error), retry_after=5) from error


def _whole(priority: float) -> int:
    if priority != int(priority) or abs(priority) > MAX_PRIORITY:
        detail = f"a durable job's priority is a whole number of at most {MAX_PRIORITY:,}"
        raise Refused(422, "invalid", detail, "priority")
    return int(priority)
