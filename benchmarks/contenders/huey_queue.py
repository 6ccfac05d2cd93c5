"""What huey's two contenders share: it has no bulk enqueue and no async tasks."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders.setup import Setup

POLLS = {"timeout": 60.0, "backoff": 1, "max_delay": 0.001}


class HueyContender:
    """A huey of either kind; the module that makes it is its worker, too."""

    version = f"huey {importlib.metadata.version('huey')}"

    def __init__(self, queue: Any, setup: Setup, module: str) -> None:
        self._queue = queue
        self._in_process = setup.task == "add_in_process"
        self._task = queue.task(name=setup.task)(getattr(workload, setup.task))
        self.worker = (sys.executable, "-m", module)

    def enqueue(self, first: int, second: int) -> object:
        return self._task(first, second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        return [self._task(first, second) for first, second in calls]

    def result(self, handle: Any) -> object:
        return handle.get(blocking=True, preserve=True, **POLLS)

    def finished(self) -> int:
        count: int = self._queue.result_count()
        return count

    def work(self) -> None:
        self._queue.create_consumer(
            workers=os.cpu_count() if self._in_process else 8,
            worker_type="process" if self._in_process else "thread",
            initial_delay=0.001,
            max_delay=0.001,
            backoff=1,
        ).run()
