"""Tasks over HTTP, for FastAPI, and the dashboard; needs the extra `mainspring[web]`."""

from mainspring.pool.worker import AsyncTaskWorker
from mainspring.web.api import create_task_worker_router
from mainspring.web.dashboard.app import dashboard

__all__ = ["AsyncTaskWorker", "create_task_worker_router", "dashboard"]
