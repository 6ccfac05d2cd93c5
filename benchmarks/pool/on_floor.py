"""The floor: a bare asyncio.PriorityQueue, a record and an asyncio task for each task."""

from __future__ import annotations

import asyncio
import itertools
import platform
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.pool.contender import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Record:
    """What must be known of a task."""

    id: str
    status: str
    created: float
    began: float = 0.0
    ended: float = 0.0
    result: object = None
    error: BaseException | None = None


class Contender:
    """Ten loops over one queue. Its cache is a dict."""

    version = f"asyncio of Python {platform.python_version()}"

    def __init__(self) -> None:
        self._queue: asyncio.PriorityQueue[Any] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._records: dict[str, Record] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._cache: dict[object, object] | None = None

    async def start(self, *, cached: bool) -> None:
        self._cache = {} if cached else None
        self._workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]

    async def add(self, function: Callable[..., object], *args: object) -> object:
        record = Record(str(uuid.uuid4()), "pending", time.time())
        self._records[record.id] = record
        await self._queue.put((0, next(self._numbers), record, function, args))
        return record.id

    async def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.wait(self._workers)

    async def _work(self) -> None:
        while True:
            _, _, record, function, args = await self._queue.get()
            record.began, record.status = time.time(), "running"
            try:
                record.result = await self._call(function, args)
                record.status = "completed"
            except Exception as error:  # noqa: BLE001  # it is kept
                record.error, record.status = error, "failed"
            record.ended = time.time()

    async def _call(self, function: Any, args: tuple[object, ...]) -> object:
        if self._cache is None:
            # Of its own, with a context of its own: ours gives a body that, too.
            return await asyncio.create_task(function(*args))
        key = (function, args)
        if key not in self._cache:
            self._cache[key] = await function(*args)
        return self._cache[key]
