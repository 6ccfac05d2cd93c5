"""async-task-worker as a contender, with its defaults."""

from __future__ import annotations

import importlib.metadata
import logging
from typing import TYPE_CHECKING, Any

from async_task_worker import AsyncTaskWorker
from benchmarks.pool.contender import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable

logging.disable(logging.CRITICAL)


class Contender:
    """Its pool of ten workers."""

    version = f"async-task-worker {importlib.metadata.version('async-task-worker')}"

    def __init__(self) -> None:
        self._pool: Any = None

    async def start(self, *, cached: bool) -> None:
        self._pool = AsyncTaskWorker(max_workers=WORKERS, cache_enabled=cached)
        await self._pool.start()

    async def add(self, function: Callable[..., object], *args: object) -> object:
        return await self._pool.add_task(function, *args)

    async def stop(self) -> None:
        await self._pool.stop()
