"""The names of neotasker."""

from mainspring import (
    LocalProxy,
    TaskSupervisor,
    background_worker,
    g,
    set_debug,
    spawn,
    spawn_ajob,
    task_supervisor,
)
from mainspring.compat.collections import FunctionCollection
from mainspring.compat.workers import (
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
)

__all__ = [
    "BackgroundAsyncWorker",
    "BackgroundEventWorker",
    "BackgroundIntervalWorker",
    "BackgroundQueueWorker",
    "BackgroundWorker",
    "FunctionCollection",
    "LocalProxy",
    "TaskSupervisor",
    "background_worker",
    "g",
    "set_debug",
    "spawn",
    "spawn_ajob",
    "task_supervisor",
]
