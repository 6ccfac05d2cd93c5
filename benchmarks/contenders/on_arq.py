"""arq on a Redis-compatible server; its worker is its own command, and looks every millisecond."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings
from benchmarks.contenders import workload
from benchmarks.contenders.on_a_loop import PATIENCE, OnALoop
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup

setup = Setup.from_environment()
server = RedisSettings(unix_socket_path=socket_in(setup.folder))
perform = getattr(workload, setup.task)


async def task(_context: object, first: int, second: int) -> Any:
    return perform(first, second)


class WorkerSettings:
    """What its command reads."""

    functions: ClassVar = [task]
    redis_settings = server
    max_jobs = 100
    poll_delay = 0.001


class Contender(OnALoop):
    """Its pool of connections."""

    version = f"arq {importlib.metadata.version('arq')}"
    worker = (sys.executable, "-m", "arq", f"{__name__}.WorkerSettings")

    def __init__(self) -> None:
        super().__init__()
        self._pool = self.run(create_pool(server))

    async def keep(self, first: int, second: int) -> object:
        return await self._pool.enqueue_job("task", first, second)

    def result(self, handle: Any) -> object:
        return self.run(handle.result(timeout=PATIENCE, poll_delay=0.001))

    def finished(self) -> int:
        left: int = self.run(self._pool.zcard("arq:queue"))
        return self.kept - left
