"""saq on a Redis-compatible server; its worker is its own command."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

from benchmarks.contenders import workload
from benchmarks.contenders.on_a_loop import PATIENCE, OnALoop
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

setup = Setup.from_environment()
perform = getattr(workload, setup.task)
server: Any = Redis(unix_socket_path=socket_in(setup.folder))
queue = RedisQueue(server)


async def task(_context: object, *, first: int, second: int) -> Any:
    return perform(first, second)


settings = {"queue": queue, "functions": [task], "concurrency": 100}


class Contender(OnALoop):
    """The queue above."""

    version = f"saq {importlib.metadata.version('saq')}"
    worker = (sys.executable, "-m", "saq", f"{__name__}.settings")

    async def keep(self, first: int, second: int) -> object:
        return await queue.enqueue("task", first=first, second=second)

    def result(self, handle: Any) -> object:
        self.run(handle.refresh(until_complete=PATIENCE))
        return handle.result

    def finished(self) -> int:
        left: int = self.run(queue.count("incomplete"))
        return self.kept - left
