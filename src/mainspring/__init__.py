"""mainspring: background work for Python with no server to set up.

The public names are here, each imported on first use, so that `import mainspring` costs next to
nothing.
"""

from __future__ import annotations

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.background.debugging import set_debug
    from mainspring.background.local import LocalProxy, g
    from mainspring.background.locker import Locker
    from mainspring.background.supervisor.front import (
        TaskSupervisor,
        spawn,
        spawn_ajob,
        task_supervisor,
    )
    from mainspring.background.task import TT_COROUTINE, TT_MP, TT_THREAD
    from mainspring.background.tasks.collection import FunctionCollection, TaskCollection
    from mainspring.background.tasks.decorator import background_task
    from mainspring.background.tasks.waiting import co_apply, co_mp_apply, wait_completed
    from mainspring.background.workers.decorator import background_worker
    from mainspring.background.workers.event import BackgroundEventWorker
    from mainspring.background.workers.interval import BackgroundIntervalWorker
    from mainspring.background.workers.queue import BackgroundQueueWorker
    from mainspring.background.workers.worker import BackgroundAsyncWorker, BackgroundWorker
    from mainspring.cache.memory import MemoryCache
    from mainspring.cache.memory import MemoryCache as MemoryCacheAdapter
    from mainspring.cache.policy import Cache
    from mainspring.cache.redis import RedisCache
    from mainspring.cache.sqlite import SQLiteCache
    from mainspring.engine.attempts.current_job import current_job
    from mainspring.errors import (
        DuplicateJob,
        JobCancelled,
        JobExpired,
        JobFailed,
        JobGone,
        StoreBusy,
        StoreError,
    )
    from mainspring.model.backoff import Exponential, Fixed
    from mainspring.model.control_flow import GiveUp, Retry, Snooze
    from mainspring.model.injected import injected
    from mainspring.model.job import JobState
    from mainspring.model.job import JobState as TaskStatus
    from mainspring.model.job_event import JobEvent
    from mainspring.model.middleware import JobAttempt
    from mainspring.model.pickled import PickleCodec
    from mainspring.model.unique import Unique
    from mainspring.pool.body import ProgressCallback
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
    from mainspring.queue.front import Queue
    from mainspring.queue.job_handle import JobHandle
    from mainspring.supervision.restart import Restart
    from mainspring.supervision.threads.priority import (
        TASK_CRITICAL,
        TASK_HIGH,
        TASK_LOW,
        TASK_NORMAL,
    )

__version__ = "0.1.0"

_MODULES = ("compat", "errors", "integrations", "protocols", "task_worker_api", "testing", "web")
"""The public modules, which show once they are imported."""

_HOMES = {
    "AsyncTaskWorker": "mainspring.pool.worker",
    "BackgroundAsyncWorker": "mainspring.background.workers.worker",
    "BackgroundEventWorker": "mainspring.background.workers.event",
    "BackgroundIntervalWorker": "mainspring.background.workers.interval",
    "BackgroundQueueWorker": "mainspring.background.workers.queue",
    "BackgroundWorker": "mainspring.background.workers.worker",
    "Cache": "mainspring.cache.policy",
    "CacheAdapter": "mainspring.protocols",
    "DuplicateJob": "mainspring.errors",
    "Exponential": "mainspring.model.backoff",
    "Fixed": "mainspring.model.backoff",
    "FunctionCollection": "mainspring.background.tasks.collection",
    "GiveUp": "mainspring.model.control_flow",
    "JobAttempt": "mainspring.model.middleware",
    "JobCancelled": "mainspring.errors",
    "JobEvent": "mainspring.model.job_event",
    "JobExpired": "mainspring.errors",
    "JobFailed": "mainspring.errors",
    "JobGone": "mainspring.errors",
    "JobHandle": "mainspring.queue.job_handle",
    "JobState": "mainspring.model.job",
    "LocalProxy": "mainspring.background.local",
    "Locker": "mainspring.background.locker",
    "MemoryCache": "mainspring.cache.memory",
    "MemoryCacheAdapter": "mainspring.cache.memory:MemoryCache",
    "PickleCodec": "mainspring.model.pickled",
    "ProgressCallback": "mainspring.pool.body",
    "Queue": "mainspring.queue.front",
    "RedisCache": "mainspring.cache.redis",
    "Restart": "mainspring.supervision.restart",
    "Retry": "mainspring.model.control_flow",
    "SQLiteCache": "mainspring.cache.sqlite",
    "Snooze": "mainspring.model.control_flow",
    "StoreBusy": "mainspring.errors",
    "StoreError": "mainspring.errors",
    "TASK_CRITICAL": "mainspring.supervision.threads.priority",
    "TASK_HIGH": "mainspring.supervision.threads.priority",
    "TASK_LOW": "mainspring.supervision.threads.priority",
    "TASK_NORMAL": "mainspring.supervision.threads.priority",
    "TT_COROUTINE": "mainspring.background.task",
    "TT_MP": "mainspring.background.task",
    "TT_THREAD": "mainspring.background.task",
    "TaskCollection": "mainspring.background.tasks.collection",
    "TaskHandle": "mainspring.pool.handle",
    "TaskInfo": "mainspring.pool.record",
    "TaskStatus": "mainspring.model.job:JobState",
    "TaskSupervisor": "mainspring.background.supervisor.front",
    "Unique": "mainspring.model.unique",
    "background_task": "mainspring.background.tasks.decorator",
    "background_worker": "mainspring.background.workers.decorator",
    "co_apply": "mainspring.background.tasks.waiting",
    "co_mp_apply": "mainspring.background.tasks.waiting",
    "current_job": "mainspring.engine.attempts.current_job",
    "g": "mainspring.background.local",
    "get_all_task_types": "mainspring.pool.registry",
    "get_task_function": "mainspring.pool.registry",
    "injected": "mainspring.model.injected",
    "register_task": "mainspring.pool.registry",
    "set_debug": "mainspring.background.debugging",
    "spawn": "mainspring.background.supervisor.front",
    "spawn_ajob": "mainspring.background.supervisor.front",
    "task": "mainspring.pool.registry",
    "task_supervisor": "mainspring.background.supervisor.front",
    "wait_completed": "mainspring.background.tasks.waiting",
}

__all__ = [
    "TASK_CRITICAL",
    "TASK_HIGH",
    "TASK_LOW",
    "TASK_NORMAL",
    "TT_COROUTINE",
    "TT_MP",
    "TT_THREAD",
    "AsyncTaskWorker",
    "BackgroundAsyncWorker",
    "BackgroundEventWorker",
    "BackgroundIntervalWorker",
    "BackgroundQueueWorker",
    "BackgroundWorker",
    "Cache",
    "CacheAdapter",
    "DuplicateJob",
    "Exponential",
    "Fixed",
    "FunctionCollection",
    "GiveUp",
    "JobAttempt",
    "JobCancelled",
    "JobEvent",
    "JobExpired",
    "JobFailed",
    "JobGone",
    "JobHandle",
    "JobState",
    "LocalProxy",
    "Locker",
    "MemoryCache",
    "MemoryCacheAdapter",
    "PickleCodec",
    "ProgressCallback",
    "Queue",
    "RedisCache",
    "Restart",
    "Retry",
    "SQLiteCache",
    "Snooze",
    "StoreBusy",
    "StoreError",
    "TaskCollection",
    "TaskHandle",
    "TaskInfo",
    "TaskStatus",
    "TaskSupervisor",
    "Unique",
    "background_task",
    "background_worker",
    "co_apply",
    "co_mp_apply",
    "current_job",
    "g",
    "get_all_task_types",
    "get_task_function",
    "injected",
    "register_task",
    "set_debug",
    "spawn",
    "spawn_ajob",
    "task",
    "task_supervisor",
    "wait_completed",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _check_threads()
    module, _, other_name = home.partition(":")
    value = getattr(import_module(module), other_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    shown = {name for name in globals() if name.startswith("__") or name in _MODULES}
    return sorted({*shown, *__all__})


def _check_threads() -> None:
    patched = getattr(modules.get("gevent.monkey"), "is_module_patched", None)
    if patched is not None and patched("threading"):
        raise ImportError(
            "mainspring does not work where gevent has patched threading: it needs threads and "
            "event loops of the system's own; use it in a process that does not call "
            "gevent.monkey.patch_all()"
        )
