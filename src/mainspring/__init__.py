"""mainspring: background work for Python with no server to set up.

The public names are here, each imported on first use, so that `import mainspring` costs next to
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.cache.memory import MemoryCache
    from mainspring.cache.redis import RedisCache
    from mainspring.cache.sqlite import SQLiteCache
    from mainspring.engine.context import current_job
    from mainspring.handle import JobHandle
    from mainspring.model.job import JobState
    from mainspring.model.job import JobState as TaskStatus
    from mainspring.model.retry import Exponential
    from mainspring.pool.handle import TaskHandle
    from mainspring.pool.record import TaskInfo
    from mainspring.pool.registry import (
        get_all_task_types,
        get_task_function,
        register_task,
        task,
    )
    from mainspring.pool.worker import AsyncTaskWorker
    from mainspring.protocols import CacheAdapter
    from mainspring.queue import Queue

__version__ = "0.1.0"

_HOMES = {
    "AsyncTaskWorker": "mainspring.pool.worker",
    "CacheAdapter": "mainspring.protocols",
    "Exponential": "mainspring.model.retry",
    "JobHandle": "mainspring.handle",
    "JobState": "mainspring.model.job",
    "MemoryCache": "mainspring.cache.memory",
    "Queue": "mainspring.queue",
    "RedisCache": "mainspring.cache.redis",
    "SQLiteCache": "mainspring.cache.sqlite",
    "TaskHandle": "mainspring.pool.handle",
    "TaskInfo": "mainspring.pool.record",
    "TaskStatus": "mainspring.model.job:JobState",
    "current_job": "mainspring.engine.context",
    "get_all_task_types": "mainspring.pool.registry",
    "get_task_function": "mainspring.pool.registry",
    "register_task": "mainspring.pool.registry",
    "task": "mainspring.pool.registry",
}

__all__ = [
    "AsyncTaskWorker",
    "CacheAdapter",
    "Exponential",
    "JobHandle",
    "JobState",
    "MemoryCache",
    "Queue",
    "RedisCache",
    "SQLiteCache",
    "TaskHandle",
    "TaskInfo",
    "TaskStatus",
    "current_job",
    "get_all_task_types",
    "get_task_function",
    "register_task",
    "task",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other_name = home.partition(":")
    value = getattr(import_module(module), other_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
