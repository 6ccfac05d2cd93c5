"""The names of async-task-worker from 0.2 on, where looking at a task is awaited.

Programs for 0.1 import from `mainspring` itself, where it is a plain call.
"""

from mainspring import (
    CacheAdapter,
    MemoryCacheAdapter,
    TaskInfo,
    TaskStatus,
    register_task,
    task,
)
from mainspring.compat.async_task_worker.worker import (
    AsyncTaskWorker,
    get_all_task_types,
    get_task_function,
)

__all__ = [
    "AsyncTaskWorker",
    "CacheAdapter",
    "MemoryCacheAdapter",
    "TaskInfo",
    "TaskStatus",
    "get_all_task_types",
    "get_task_function",
    "register_task",
    "task",
]


def __getattr__(name: str) -> object:
    if name == "create_task_worker_router":
        from mainspring.compat.async_task_worker import api  # noqa: PLC0415  an optional extra

        return api.create_task_worker_router
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
