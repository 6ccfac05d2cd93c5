"""mainspring as a contender: its worker is the command, and it loads `queue` from here."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, cast

from benchmarks.contenders import postgres_server, redis_server, workload
from benchmarks.contenders.setup import Setup

from mainspring import Queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring import JobHandle

PATIENCE = 60.0

setup = Setup.from_environment()
in_process = setup.task == "add_in_process"
urls = {
    "": f"sqlite:///{setup.database}",
    "redis": f"unix://{redis_server.socket_in(setup.folder)}",
    "postgres": postgres_server.url_in(setup.folder),
}
queue = Queue(
    urls[setup.server],
    workers=os.cpu_count() or 1 if in_process else 8,
    durability="full" if setup.durability == "full" else "normal",
)
task = queue.task(name=setup.task, executor="process" if in_process else None)(
    getattr(workload, setup.task)
)


nap = queue.task(name="nap")(workload.nap)


class Contender:
    """The queue above."""

    version = f"mainspring {importlib.metadata.version('mainspring')}"
    worker: tuple[str, ...] = (
        sys.executable,
        "-m",
        "mainspring",
        "worker",
        "--app",
        f"{__name__}:queue",
    )

    def enqueue(self, first: int, second: int) -> JobHandle[int]:
        return task.delay(first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[JobHandle[int]]:
        return task.map(calls)

    def enqueue_behind(self, calls: Sequence[tuple[int, int]]) -> None:
        task.using(priority=10).map(calls)

    def enqueue_naps(self, calls: Sequence[tuple[int, int]]) -> Sequence[JobHandle[int]]:
        return nap.map(calls)

    def result(self, handle: object) -> object:
        return cast("JobHandle[int]", handle).result(timeout=PATIENCE)

    def finished(self) -> int:
        count: int = queue.stats()["completed"]
        return count
