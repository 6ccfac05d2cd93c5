"""taskiq on a Redis-compatible server, results kept; its worker is its own command."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

from benchmarks.contenders import workload
from benchmarks.contenders.on_a_loop import PATIENCE, OnALoop
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from redis import Redis
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

setup = Setup.from_environment()
url = f"unix://{socket_in(setup.folder)}"
results: Any = RedisAsyncResultBackend(redis_url=url, result_ex_time=3_600)
broker: Any = ListQueueBroker(url=url).with_result_backend(results)
perform = getattr(workload, setup.task)


async def call(first: int, second: int) -> Any:
    return perform(first, second)


task: Any = broker.register_task(call, task_name="task")


class Contender(OnALoop):
    """The broker above."""

    version = f"taskiq {importlib.metadata.version('taskiq')}"
    worker = (
        *(sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"),
        *("--workers", "1", "--max-async-tasks", "100"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._server: Any = Redis.from_url(url)
        self.run(broker.startup())

    async def keep(self, first: int, second: int) -> object:
        return await task.kiq(first, second)

    def result(self, handle: Any) -> object:
        waited = self.run(handle.wait_result(check_interval=0.001, timeout=PATIENCE))
        return waited.return_value

    def finished(self) -> int:
        """Results are one key each, beside the list of what waits."""
        keys: int = self._server.dbsize()
        return keys - int(self._server.exists("taskiq"))
