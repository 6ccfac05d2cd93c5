"""Another name of `mainspring.web`, as async-task-worker has it."""

from mainspring.web import AsyncTaskWorker, create_task_worker_router

__all__ = ["AsyncTaskWorker", "create_task_worker_router"]
