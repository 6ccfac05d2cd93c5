"""The router of async-task-worker; needs the extra `mainspring[web]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring import web
from mainspring.compat.async_task_worker.worker import AsyncTaskWorker

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["AsyncTaskWorker", "create_task_worker_router"]


def create_task_worker_router(
    worker: AsyncTaskWorker, prefix: str = "", tags: list[Any] | None = None, **options: Any
) -> APIRouter:
    """Return a router for a pool; options as of `mainspring.web.create_task_worker_router`."""
    return web.create_task_worker_router(worker.pool, prefix, tags, **options)
