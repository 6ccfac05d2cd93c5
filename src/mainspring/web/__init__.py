"""Tasks over HTTP, for FastAPI; needs the extra `mainspring[web]`."""

from mainspring.pool.worker import AsyncTaskWorker
from mainspring.web.api import create_task_worker_router

__all__ = ["AsyncTaskWorker", "create_task_worker_router"]
