"""The front door of the task pool: `AsyncTaskWorker`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from mainspring.cache.memory import MemoryCache
from mainspring.clock import wall_clock
from mainspring.errors import InvalidOption, NotRunning
from mainspring.model.job import JobState
from mainspring.pool.awaitable_list import AwaitableList
from mainspring.pool.body import body_of
from mainspring.pool.caching import PoolCache
from mainspring.pool.handle import TaskHandle
from mainspring.pool.lifetime import LAST_SECONDS, PoolLifetime
from mainspring.pool.options import OWNER, SECONDS, PoolOptions, PoolTaskOptions
from mainspring.pool.record import TaskInfo
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.supervisor.service import StartableService

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import timedelta
    from typing import Self

    from mainspring.pool.record import Record
    from mainspring.protocols import CacheAdapter, Subscriber

T = TypeVar("T")

STOP_SECONDS = 5.0
"""Default time that a stop lets bodies run."""


class PoolOwner(Protocol):
    """A supervisor as a pool sees it."""

    def add_pool(self, pool: AsyncTaskWorker, loop: Any = None) -> None:
        """Start and stop the pool from now on."""
        ...


class AsyncTaskWorker:
    """Runs functions on the loop it is started on, `max_workers` at once, by priority.

    `task_timeout`: seconds a task may take unless it says otherwise. `max_queue_size`: so many may
    wait; `add_task` waits for a place. Ended tasks are remembered for `retention` seconds, and
    `max_finished` of them. `cache_enabled`: results are kept for `cache_ttl` seconds (None: until
    pushed out) in `cache_adapter`, or in memory, `cache_max_size` of them. `worker_poll_interval`
    is accepted and not needed: nobody polls.

    For one event loop; start again after a stop to begin empty. `supervisor`: a TaskSupervisor that
    starts and stops it on its aloop `loop` (None: the default one), and lets bodies end within
    `stop_timeout` seconds, as `async with` does. Raises InvalidOption.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the page's signature
        self,
        max_workers: int = 10,
        task_timeout: float | None = None,
        worker_poll_interval: float = 1.0,
        cache_enabled: bool = False,  # noqa: FBT001, FBT002  # as above
        cache_ttl: float | None = 3600,
        cache_max_size: int | None = 1000,
        cache_adapter: CacheAdapter | None = None,
        *,
        max_queue_size: int | None = None,
        retention: float | None = 3600.0,
        max_finished: int | None = 10_000,
        name: str = "task pool",
        stop_timeout: float = STOP_SECONDS,
        supervisor: PoolOwner | None = None,
        loop: Any = None,
    ) -> None:
        SECONDS(OWNER, "stop_timeout", stop_timeout)
        if loop is not None and supervisor is None:
            why, remedy = "names a loop of a supervisor", "give supervisor, too"
            raise InvalidOption("loop", loop, owner=OWNER, why=why, remedy=remedy)
        self.name = name
        self.stop_timeout = stop_timeout
        self._options = PoolOptions(
            max_workers,
            task_timeout,
            worker_poll_interval,
            max_queue_size,
            retention,
            max_finished,
        )
        adapter = MemoryCache(cache_max_size) if cache_adapter is None else cache_adapter
        self._cache = PoolCache(adapter, enabled=cache_enabled, ttl=cache_ttl)
        self._bus = EventBus()
        self._lifetime: PoolLifetime | None = None
        self._service = StartableService()
        if supervisor is not None:
            supervisor.add_pool(self, loop)

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<{OWNER} {self.name!r}, {self._options.max_workers} workers, {state}>"

    @property
    def grace(self) -> float:
        """Seconds that a supervisor should give it to end."""
        return self.stop_timeout + LAST_SECONDS + 1.0

    async def start(self) -> None:
        """Start the pool on the running loop; harmless if it runs here already.

        Raises WrongLoop when it runs on another loop.
        """
        if self.running:
            self._here()
            return
        self._lifetime = PoolLifetime(self._options, self._cache, self._bus)

    async def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Refuse new tasks, cancel those that wait, and let bodies end within `timeout` seconds.

        Then they are cancelled; one that does not heed it is left behind after a second more.
        Every future resolves. Asked again, the shortest time holds.
        """
        if self._lifetime is not None and not self._lifetime.loop.is_closed():
            await self._lifetime.end(timeout)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(self.stop_timeout)

    @property
    def running(self) -> bool:
        """True while it takes tasks."""
        return (
            self._lifetime is not None
            and self._lifetime.open
            and not self._lifetime.loop.is_closed()
        )

    @property
    def full(self) -> bool:
        """True if the next task would have to wait for a place."""
        return self._here().line.full

    async def add_task(  # noqa: PLR0913  # the page's signature
        self,
        task_func: Callable[..., Any],
        /,
        *args: Any,
        priority: float = 0,
        task_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        use_cache: bool | None = None,
        cache_ttl: float | None = None,
        cache_key: str | None = None,
        replace: bool = False,
        **kwargs: Any,
    ) -> str:
        """Add a task and return its id; waits while `max_queue_size` tasks wait already.

        Lower `priority` runs first, equal ones in the order they came. `timeout`: seconds, `None`
        the pool's own, `math.inf` none. `use_cache`: whether a result is looked up and kept, `None`
        as the pool does; `cache_ttl`: for so many seconds; `cache_key`: the name to keep it under
        for a function that has none. `replace`: take the id of a task that has finished. A
        function with a parameter of one of these names: see `submit`. Raises TypeError for what is
        no function, or has a `yield`; NotRunning, WrongLoop, DuplicateTaskError, InvalidArguments,
        InvalidPriority, InvalidOption.
        """
        options = PoolTaskOptions(
            priority, task_id, metadata, timeout, replace, use_cache, cache_ttl, cache_key
        )
        lifetime = self._here()
        record = lifetime.draft(task_func, args, kwargs, options)
        if lifetime.line.bounded:
            await lifetime.take_place(options)
        lifetime.admit(record)
        return record.id

    # Type checkers can't tell a task's arguments from our options: both are any keywords.
    @overload
    async def submit(
        self, task_func: Callable[..., Awaitable[T]], /, *call_args: Any, **options: Any
    ) -> TaskHandle[T]: ...
    @overload
    async def submit(
        self, task_func: Callable[..., T], /, *call_args: Any, **options: Any
    ) -> TaskHandle[T]: ...
    async def submit(  # noqa: PLR0913  # as `add_task`
        self,
        task_func: Callable[..., Any],
        /,
        *call_args: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        priority: float = 0,
        task_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        use_cache: bool | None = None,
        cache_ttl: float | None = None,
        cache_key: str | None = None,
        replace: bool = False,
        **call_kwargs: Any,
    ) -> TaskHandle[Any]:
        """Add a task as `add_task` does, and return a handle that can be awaited.

        What is in `args` and `kwargs` goes to the function whatever it is called.
        """
        options = PoolTaskOptions(
            priority, task_id, metadata, timeout, replace, use_cache, cache_ttl, cache_key
        )
        named = {**call_kwargs, **(kwargs or {})}
        lifetime = self._here()
        record = lifetime.draft(task_func, (*call_args, *args), named, options)
        if lifetime.line.bounded:
            await lifetime.take_place(options)
        lifetime.admit(record)
        return TaskHandle(record, lifetime)

    def get_task_info(self, task_id: str) -> TaskInfo | None:
        """Return a live view of a task, None if there is none (any more)."""
        record = self._find(task_id)
        return None if record is None else TaskInfo(record)

    def get_all_tasks(
        self,
        status: JobState | str | None = None,
        limit: int | None = None,
        older_than: timedelta | None = None,
    ) -> AwaitableList[TaskInfo]:
        """Return tasks, newest first: of one status, at most `limit`, added `older_than` ago."""
        if self._lifetime is None:
            return AwaitableList()
        state = None if status is None else JobState(status)
        if limit is not None and limit < 0:
            raise InvalidOption("limit", limit, owner="get_all_tasks", expected="at least 0")
        age = 0.0 if older_than is None else older_than.total_seconds()
        before = wall_clock() - age
        found = self._lifetime.records.newest(state=state, before=before, limit=limit)
        return AwaitableList(TaskInfo(record) for record in found)

    def get_task_future(self, task_id: str) -> asyncio.Future[Any]:
        """Return a future of the task's result; KeyError for an unknown id.

        It raises what the body raised, and CancelledError if the task was cancelled. Everyone who
        asks gets one of their own, so that a timeout or a cancellation disturbs no one else.
        """
        record = self._find(task_id)
        if record is None or self._lifetime is None:
            raise KeyError(f"Task {task_id} not found")
        if not record.final:
            self._here()
        return self._lifetime.future(record)

    def get_task_futures(self, task_ids: Iterable[str]) -> AwaitableList[asyncio.Future[Any]]:
        """Return a future for each task; KeyError for an unknown id."""
        return AwaitableList(self.get_task_future(task_id) for task_id in task_ids)

    async def wait_for_task(self, task_id: str, timeout: float | None = None) -> Any:
        """Return the task's result; raises as its future does, or TimeoutError, or KeyError."""
        return await asyncio.wait_for(self.get_task_future(task_id), timeout)

    async def wait_for_tasks(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the results in order; raises the first error, or TimeoutError, or KeyError."""
        return await asyncio.wait_for(asyncio.gather(*self.get_task_futures(task_ids)), timeout)

    async def wait_for_any_task(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
    ) -> tuple[Any, str]:
        """Return the result and the id of the first task that ends; raises as `wait_for_task`."""
        futures = {self.get_task_future(task_id): task_id for task_id in task_ids}
        if not futures:
            expected = "at least one id"
            raise InvalidOption("task_ids", [], owner="wait_for_any_task", expected=expected)
        done, late = await asyncio.wait(
            futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        for future in late:
            future.cancel()
        if not done:
            raise TimeoutError(f"none of {len(futures)} tasks ended within {timeout} s")
        first = next(future for future in futures if future in done)
        return first.result(), futures[first]

    async def cancel_task(self, task_id: str) -> bool:
        """Cancel a task; False if it is unknown, has ended, or ended otherwise meanwhile.

        One that waits never runs. A body gets CancelledError where it awaits; this returns when it
        has ended, or after a second. A thread can't be ended: it is left behind.
        """
        record = self._find(task_id)
        if record is None or self._lifetime is None:
            return False
        return await self._lifetime.cancel(record)

    async def invalidate_cache(
        self,
        task_func: Callable[..., Any],
        /,
        *args: Any,
        cache_key: str | None = None,
        **kwargs: Any,
    ) -> bool:
        """Drop the cached result of these arguments; return whether there was one."""
        return await self._cache.drop(body_of(task_func), args, kwargs, cache_key)

    async def clear_cache(self) -> None:
        """Drop every cached result."""
        await self._cache.clear()

    async def join(self) -> None:
        """Wait until no task is pending or running."""
        if self._lifetime is not None:
            await self._here().join()

    def stats(self) -> dict[str, Any]:
        """Return how many tasks are pending and running, and how many ended since the start."""
        lifetime = self._lifetime
        ended = (
            lifetime.records.totals() if lifetime else {"completed": 0, "failed": 0, "cancelled": 0}
        )
        return {
            **ended,
            "pending": len(lifetime.line) if lifetime else 0,
            "running": lifetime.running if lifetime else 0,
            "max_workers": self._options.max_workers,
            "cache": self._cache.stats(),
        }

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with an event for each attempt that ends."""
        self._bus.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Live as a supervised service: start, wait for `close`, stop."""
        await self._service.run(self, started)

    def close(self) -> None:
        """Ask a `run` to end; from any thread."""
        self._service.close()

    def _here(self) -> PoolLifetime:
        lifetime = self._lifetime
        if lifetime is None or not lifetime.open:
            raise NotRunning(f"the pool {self.name!r} is not running; await start() first")
        lifetime.check_loop()
        return lifetime

    def _find(self, task_id: str) -> Record | None:
        return None if self._lifetime is None else self._lifetime.records.get(task_id)
