"""flexiq as a contender, with its defaults or tuned; run as a module it is its worker.

It writes with `synchronous = NORMAL` and offers no other.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import workload
from benchmarks.contenders.setup import Setup
from flexiq import Queue

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 60.0
MODULE = "benchmarks.contenders.on_flexiq"
TUNING: dict[str, Any] = {
    "workers": 8,
    "scheduler_poll_interval_ms": 1,
    "scheduler_batch_size": 64,
}

setup = Setup.from_environment()
polls = {"poll_interval": 0.001, "max_poll_interval": 0.001} if setup.tuned else {}
queue: Any = Queue(db_path=setup.database, **(TUNING if setup.tuned else {}))
task = queue.task(name=setup.task)(getattr(workload, setup.task))


class Contender:
    """The queue above."""

    version = f"flexiq {importlib.metadata.version('flexiq')}"
    worker = (sys.executable, "-m", MODULE)

    def enqueue(self, first: int, second: int) -> object:
        return task.delay(first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        many: Sequence[object] = task.map(calls)
        return many

    def result(self, handle: Any) -> object:
        return handle.result(timeout=PATIENCE, **polls)

    def finished(self) -> int:
        count: int = queue.stats()["completed"]
        return count


def work() -> None:
    if setup.task == "add_in_process":
        queue._workers = os.cpu_count()  # noqa: SLF001  # it takes no other number for processes
        queue.run_worker(pool="prefork", app=f"{MODULE}:queue")
    else:
        queue.run_worker()


if __name__ == "__main__":
    work()
