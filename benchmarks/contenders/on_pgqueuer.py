"""pgqueuer as a contender, on asyncpg; run as a module it is its worker, which takes 100 a time."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
from benchmarks.contenders import workload
from benchmarks.contenders.postgres_server import url_in
from benchmarks.contenders.setup import Setup
from pgqueuer import PgQueuer, Queries

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

PATIENCE = 60.0
ENDED = "SELECT count(*) FROM pgqueuer_log WHERE job_id = %s AND status = 'successful'"
FINISHED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

setup = Setup.from_environment()
url = url_in(setup.folder)


async def work() -> None:
    queue = PgQueuer.from_asyncpg_pool(await asyncpg.create_pool(url, min_size=2))
    perform = getattr(workload, setup.task)

    async def run(job: Any) -> None:
        perform(*json.loads(job.payload))

    queue.entrypoint(setup.task)(run)
    await queue.run(batch_size=100)


class Contender:
    """Its queries on a loop of their own, and a connection to look at its log by."""

    version = f"pgqueuer {importlib.metadata.version('pgqueuer')}"
    worker = (sys.executable, "-m", "benchmarks.contenders.on_pgqueuer")

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._queries = self._run(self._connected())
        self._looks = psycopg.connect(url, autocommit=True)

    def enqueue(self, first: int, second: int) -> object:
        return self.enqueue_many([(first, second)])[0]

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        payloads = [json.dumps(call).encode() for call in calls]
        names, priorities = [setup.task] * len(calls), [0] * len(calls)
        keys: Sequence[object] = self._run(self._queries.enqueue(names, payloads, priorities))
        return keys

    def result(self, handle: object) -> object:
        deadline = time.monotonic() + PATIENCE
        while self._looks.execute(ENDED, (handle,)).fetchone() == (0,):
            if time.monotonic() > deadline:
                raise TimeoutError(handle)
            time.sleep(0.001)
        return None

    def finished(self) -> int:
        row = self._looks.execute(FINISHED).fetchone()
        return row[0] if row else 0

    async def _connected(self) -> Queries:
        queries = Queries.from_asyncpg_pool(await asyncpg.create_pool(url))
        if not await queries.has_table("pgqueuer"):
            await queries.install()
        return queries

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)


if __name__ == "__main__":
    asyncio.run(work())
