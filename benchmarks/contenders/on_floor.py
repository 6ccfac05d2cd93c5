"""The floor as a contender; run as a module it is the floor's worker."""

from __future__ import annotations

import functools
import sqlite3
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import workload
from benchmarks.contenders.setup import Setup
from benchmarks.floor import Floor, run

if TYPE_CHECKING:
    from collections.abc import Sequence


class Contender:
    """The floor, with a mailbox for results."""

    version = f"sqlite {sqlite3.sqlite_version}"
    worker = (sys.executable, "-m", "benchmarks.contenders.on_floor")

    def __init__(self) -> None:
        setup = Setup.from_environment()
        self._floor = Floor(Path(setup.database), durability=setup.durability)
        self._mailbox = self._floor.bell.mailbox("producer")
        self._task = setup.task

    def enqueue(self, first: int, second: int) -> int:
        return self._floor.enqueue(self._task, (first, second))

    def share(self, first: int, second: int) -> int:
        return self._floor.share(self._task, (first, second))

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> range:
        return self._floor.enqueue_many(self._task, calls)

    def result(self, handle: int) -> object:
        return self._floor.result(handle, self._mailbox)

    def finished(self) -> int:
        return self._floor.finished()


def work() -> None:
    setup = Setup.from_environment()
    floor = Floor(Path(setup.database), durability=setup.durability)
    perform = functools.partial(run, task=getattr(workload, setup.task))
    if setup.task == "add_in_process":
        pool = ProcessPoolExecutor(2)
        floor.work(lambda claims: list(pool.map(perform, claims)))
    else:
        floor.work(lambda claims: [perform(claim) for claim in claims])


if __name__ == "__main__":
    work()
