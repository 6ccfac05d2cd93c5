"""mainspring's pool as a contender."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from benchmarks.pool.contender import WORKERS

from mainspring import AsyncTaskWorker

if TYPE_CHECKING:
    from collections.abc import Callable


class Contender:
    """A pool that remembers every task, as the others do."""

    version = f"mainspring {importlib.metadata.version('mainspring')}"

    def __init__(self) -> None:
        self._pool = AsyncTaskWorker()

    async def start(self, *, cached: bool) -> None:
        self._pool = AsyncTaskWorker(
            WORKERS, cache_enabled=cached, retention=None, max_finished=None
        )
        await self._pool.start()

    async def add(self, function: Callable[..., object], *args: object) -> object:
        return await self._pool.add_task(function, *args)

    async def stop(self) -> None:
        await self._pool.stop()
