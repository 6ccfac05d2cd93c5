"""Enqueuing from coroutines: calls that come while one batch is being written share the next.

One batcher for each event loop: a call costs an entry in a list, a batch costs a thread hop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import NewJob
    from mainspring.protocols import JobStore


class EnqueueBatcher:
    """Groups the new jobs of all coroutines of one loop."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: list[tuple[NewJob, asyncio.Future[str]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def enqueue(self, job: NewJob) -> str:
        """Keep a job and return its id; what was accepted stays so if the caller is cancelled."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await future

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[NewJob, asyncio.Future[str]]]) -> None:
        jobs = [job for job, _ in batch]
        try:
            ids = await asyncio.to_thread(self._store.enqueue_many, jobs)
        except Exception as error:  # noqa: BLE001  # it belongs to those who wait
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), job_id in zip(batch, ids, strict=True):
            if not future.done():
                future.set_result(job_id)


class EnqueueBatchers:
    """The batcher of each running loop."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, EnqueueBatcher] = (
            WeakKeyDictionary()
        )

    def here(self) -> EnqueueBatcher:
        """Return the batcher of the running loop."""
        loop = asyncio.get_running_loop()
        batcher = self._by_loop.get(loop)
        if batcher is None:
            batcher = self._by_loop[loop] = EnqueueBatcher(self._store)
        return batcher

    async def alone(
        self, enqueue_many: Callable[[Sequence[NewJob]], list[str]], job: NewJob
    ) -> str:
        """Keep a job in a commit of its own."""
        return (await asyncio.to_thread(enqueue_many, [job]))[0]
