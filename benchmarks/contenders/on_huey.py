"""huey on SQLite as a contender; run as a module it is its consumer.

It has no bulk enqueue, no async tasks, and drops a job when a worker takes it.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import workload
from benchmarks.contenders.setup import Setup
from huey import SqliteHuey

if TYPE_CHECKING:
    from collections.abc import Sequence

POLLS = {"timeout": 60.0, "backoff": 1, "max_delay": 0.001}

setup = Setup.from_environment()
queue: Any = SqliteHuey(filename=setup.database, fsync=setup.durability == "full", timeout=30)
task = queue.task(name=setup.task)(getattr(workload, setup.task))


class Contender:
    """The queue above."""

    version = f"huey {importlib.metadata.version('huey')}"
    worker = (sys.executable, "-m", "benchmarks.contenders.on_huey")

    def enqueue(self, first: int, second: int) -> object:
        return task(first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        return [task(first, second) for first, second in calls]

    def result(self, handle: Any) -> object:
        return handle.get(blocking=True, preserve=True, **POLLS)

    def finished(self) -> int:
        count: int = queue.result_count()
        return count


def work() -> None:
    in_process = setup.task == "add_in_process"
    queue.create_consumer(
        workers=os.cpu_count() if in_process else 8,
        worker_type="process" if in_process else "thread",
        initial_delay=0.001,
        max_delay=0.001,
        backoff=1,
    ).run()


if __name__ == "__main__":
    work()
