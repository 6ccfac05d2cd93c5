"""dramatiq on a Redis-compatible server, results kept; its worker is its own command."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING, Any

import dramatiq
from benchmarks.contenders import workload
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULE = "benchmarks.contenders.on_dramatiq"
PATIENCE_MILLISECONDS = 60_000

setup = Setup.from_environment()
url = f"unix://{socket_in(setup.folder)}"
backend: Any = RedisBackend(url=url)
broker: Any = RedisBroker(url=url)
broker.add_middleware(Results(backend=backend))
dramatiq.set_broker(broker)
task: Any = dramatiq.actor(actor_name=setup.task, store_results=True)(getattr(workload, setup.task))


class Contender:
    """The actor above."""

    version = f"dramatiq {importlib.metadata.version('dramatiq')}"
    worker = (sys.executable, "-m", "dramatiq", MODULE, "--processes", "1", "--threads", "8")

    def enqueue(self, first: int, second: int) -> object:
        return task.send(first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        return [task.send(first, second) for first, second in calls]

    def result(self, handle: Any) -> object:
        return handle.get_result(block=True, timeout=PATIENCE_MILLISECONDS)

    def finished(self) -> int:
        """Results are one key each, under a hash; the broker's own keys are named after it."""
        keys: int = backend.client.dbsize()
        return keys - len(backend.client.keys("dramatiq:*"))
