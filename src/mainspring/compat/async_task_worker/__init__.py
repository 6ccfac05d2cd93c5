"""The names of async-task-worker from 0.2 on, where looking at a task is awaited.

Programs for 0.1 import from `mainspring` itself, where it is a plain call.
"""

from mainspring import (
    CacheAdapter,
    MemoryCacheAdapter,
    ProgressCallback,
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
    "ProgressCallback",
    "TaskInfo",
    "TaskStatus",
    "get_all_task_types",
    "get_task_function",
    "register_task",
    "task",
]
