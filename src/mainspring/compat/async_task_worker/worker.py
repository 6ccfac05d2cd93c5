"""`AsyncTaskWorker` with getters that are awaited, over the one of `mainspring`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import mainspring

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from mainspring import TaskInfo

DAY = 86_400.0


class AsyncTaskWorker:
    """A task pool; options as of `mainspring.AsyncTaskWorker`, which is its `pool`.

    `task_retention_days`: ended tasks are remembered for so many days, None for good.
    `cache_cleanup_interval` and `cleanup_interval` are accepted and not needed: what is old goes
    when it is met.
    """

    def __init__(
        self,
        max_workers: int = 10,
        *args: Any,
        task_retention_days: float | None = 7,
        cache_cleanup_interval: float = 900,
        cleanup_interval: float = 3600,
        **options: Any,
    ) -> None:
        del cache_cleanup_interval, cleanup_interval
        retention = None if task_retention_days is None else task_retention_days * DAY
        named = {"retention": retention, **options}
        self.pool = mainspring.AsyncTaskWorker(max_workers, *args, **named)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def running(self) -> bool:
        """True while it takes tasks."""
        return self.pool.running

    async def start(self) -> None:
        """Start it on the running loop."""
        await self.pool.start()

    async def stop(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  as there
        """Stop it; bodies have `timeout` seconds to end."""
        await self.pool.stop(timeout)

    async def add_task(self, task_func: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """Add a task and return its id; options and errors as of the pool's `add_task`."""
        return await self.pool.add_task(task_func, *args, **kwargs)

    async def get_task_info(self, task_id: str) -> TaskInfo | None:
        """Return a live view of a task, None if there is none."""
        return self.pool.get_task_info(task_id)

    async def get_all_tasks(self, *args: Any, **filters: Any) -> list[TaskInfo]:
        """Return tasks, newest first; filters as of the pool's `get_all_tasks`."""
        return self.pool.get_all_tasks(*args, **filters)

    async def get_task_future(self, task_id: str) -> asyncio.Future[Any]:
        """Return a future of the task's result; KeyError for an unknown id."""
        return self.pool.get_task_future(task_id)

    async def get_task_futures(self, task_ids: Iterable[str]) -> list[asyncio.Future[Any]]:
        """Return a future for each task; KeyError for an unknown id."""
        return self.pool.get_task_futures(task_ids)

    async def wait_for_tasks(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,  # noqa: ASYNC109  as there
    ) -> list[Any]:
        """Return the results in order; errors as of the pool's `wait_for_tasks`."""
        return await self.pool.wait_for_tasks(task_ids, timeout)

    async def wait_for_any_task(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,  # noqa: ASYNC109  as there
    ) -> tuple[Any, str]:
        """Return the result and the id of the first task that ends."""
        return await self.pool.wait_for_any_task(task_ids, timeout)

    async def cancel_task(self, task_id: str) -> bool:
        """Cancel a task; False if it is unknown or has ended."""
        return await self.pool.cancel_task(task_id)

    async def invalidate_cache(
        self, task_func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> bool:
        """Drop the cached result of these arguments; return whether there was one."""
        return await self.pool.invalidate_cache(task_func, *args, **kwargs)

    async def clear_cache(self) -> None:
        """Drop every cached result."""
        await self.pool.clear_cache()


async def get_task_function(task_type: str) -> Callable[..., Any] | None:
    """Return the function of a registered type, None if there is none."""
    return mainspring.get_task_function(task_type)


async def get_all_task_types() -> list[str]:
    """Return every registered type."""
    return mainspring.get_all_task_types()
