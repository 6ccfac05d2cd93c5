"""What a user's type checker sees of the task pool; checked by test_types.py and never run.

Each `type: ignore` names an error that must be there: mypy complains of those that are not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, assert_type

from mainspring import (
    AsyncTaskWorker,
    CacheAdapter,
    MemoryCache,
    SQLiteCache,
    TaskHandle,
    TaskInfo,
    TaskStatus,
    get_all_task_types,
    get_task_function,
    register_task,
    task,
    task_supervisor,
)


@task("double")
async def double(number: int, progress_callback: Callable[[float], None] | None = None) -> int:
    return 2 * number


def shout(text: str) -> str:
    return text.upper()


class Nothing(CacheAdapter):
    async def get(self, key: str) -> tuple[bool, Any]:
        return False, None

    async def set(self, key: str, value: Any, ttl: int | None = None) -> None: ...

    async def delete(self, key: str) -> bool:
        return False

    async def clear(self) -> None: ...


register_task("shout", shout)
assert_type(get_task_function("shout"), Callable[..., Any] | None)
names: list[str] = get_all_task_types()
task(1)  # type: ignore[arg-type]
AsyncTaskWorker(cache_adapter=MemoryCache(10))
AsyncTaskWorker(cache_adapter=SQLiteCache("cache.db"))
AsyncTaskWorker(cache_adapter=Nothing())
AsyncTaskWorker(cache_adapter=object())  # type: ignore[arg-type]
AsyncTaskWorker(supervisor=task_supervisor, loop="io", stop_timeout=1.5)
AsyncTaskWorker(supervisor=object())  # type: ignore[arg-type]
task_supervisor.add_pool(AsyncTaskWorker(name="other"), "io")
task_supervisor.add_pool(object())  # type: ignore[arg-type]


async def use() -> None:
    assert_type(await double(1), int)
    async with AsyncTaskWorker(max_workers=2) as pool:
        assert_type(pool, AsyncTaskWorker)
        handle = await pool.submit(double, 1, priority=-1)
        assert_type(handle, TaskHandle[int])
        assert_type(await handle, int)
        assert_type(handle.result(), asyncio.Future[int])
        assert_type(handle.status, TaskStatus)
        assert_type(await (await pool.submit(shout, "a")), str)
        task_id = await pool.add_task(double, 1, timeout=1.5)
        assert_type(task_id, str)
        assert_type(pool.get_task_info(task_id), TaskInfo | None)
        assert_type(await pool.wait_for_any_task([task_id]), tuple[Any, str])
        assert_type(await pool.cancel_task(task_id), bool)
        await pool.add_task(double, 1, timeout="soon")  # type: ignore[arg-type]
