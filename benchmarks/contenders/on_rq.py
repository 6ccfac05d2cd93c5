"""rq on a Redis-compatible server, in its worker that does not fork for each job."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import workload
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from redis import Redis
from rq import Queue

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 60

setup = Setup.from_environment()
url = f"unix://{socket_in(setup.folder)}"
queue: Any = Queue(connection=Redis.from_url(url))
task = getattr(workload, setup.task)


class Contender:
    """The queue above."""

    version = f"rq {importlib.metadata.version('rq')}"
    worker = (sys.executable, "-m", "rq.cli", "worker", "-w", "rq.SimpleWorker", "--url", url)

    def enqueue(self, first: int, second: int) -> object:
        return queue.enqueue(task, first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        many: Sequence[object] = queue.enqueue_many(
            [Queue.prepare_data(task, pair) for pair in calls]
        )
        return many

    def result(self, handle: Any) -> object:
        return handle.latest_result(timeout=PATIENCE).return_value

    def finished(self) -> int:
        count: int = queue.finished_job_registry.count
        return count
