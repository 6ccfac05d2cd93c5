"""The names of neotasker."""

from mainspring import (
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
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
