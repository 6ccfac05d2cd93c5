"""Enqueuing from coroutines: calls that come while one batch is being written share the next.

One intake an event loop; a call costs a place in a list, and a thread hop a batch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import NewJob


class Enqueuing(Protocol):
    """The part of a store that takes new jobs."""

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep the jobs; return their ids."""
        ...


class Intake:
    """Groups the new jobs of all coroutines of one loop."""

    def __init__(self, store: Enqueuing) -> None:
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


class Intakes:
    """The intake of each running loop."""

    def __init__(self, store: Enqueuing) -> None:
        self._store = store
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Intake] = WeakKeyDictionary()

    def here(self) -> Intake:
        """Return the intake of the running loop."""
        loop = asyncio.get_running_loop()
        intake = self._by_loop.get(loop)
        if intake is None:
            intake = self._by_loop[loop] = Intake(self._store)
        return intake

    async def alone(
        self, enqueue_many: Callable[[Sequence[NewJob]], list[str]], job: NewJob
    ) -> str:
        """Keep a job in a commit of its own."""
        return (await asyncio.to_thread(enqueue_many, [job]))[0]
