"""How fast the stores are by themselves: no worker, no codec.

    python benchmarks/store.py [--rounds 5] [--jobs 10000] [--big] [--folder DIR]

Each figure is the median of the rounds, in jobs a second of wall time, and beside it microseconds
of CPU a job, which a busy machine disturbs less. `floor` is sqlite3 alone: one table with an index,
one transaction a call. `--big` repeats the drain before 1,000,000 waiting jobs of another task and
1,000,000 finished ones.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.memory import MemoryStore
from mainspring.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Store = SqliteStore | MemoryStore
    Figure = tuple[float, float]

JOB = NewJob(task="add", queue="default", payload=b"[[1,2],{}]")
FOREIGN = NewJob(task="foreign", queue="default", payload=b"[[1,2],{}]")
MILLION = 1_000_000


def timed(jobs: int, action: Callable[[], object]) -> Figure:
    """Return jobs a second, and microseconds of CPU a job."""
    started, cpu = time.perf_counter(), time.process_time()
    action()
    wall = time.perf_counter() - started
    return jobs / wall, (time.process_time() - cpu) / jobs * 1e6


def bulk(store: Store, jobs: int) -> Figure:
    return timed(jobs, lambda: store.enqueue_many([JOB] * jobs))


def singles(store: Store, jobs: int) -> Figure:
    def enqueue() -> None:
        for _ in range(jobs):
            store.enqueue_many([JOB])

    return timed(jobs, enqueue)


def threads(store: Store, jobs: int, count: int = 16) -> Figure:
    def enqueue() -> None:
        for _ in range(jobs // count):
            store.enqueue_many([JOB])

    def together() -> None:
        running = [threading.Thread(target=enqueue) for _ in range(count)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    return timed(jobs, together)


def drain(store: Store, jobs: int, batch: int) -> Figure:
    store.enqueue_many([JOB] * jobs)
    node = store.join("bench", host="here", pid=1, lease=3600)
    wants = [Want(tasks=("add",), queues=None, limit=batch)]

    def exchange() -> None:
        outcomes: list[Outcome] = []
        done = 0
        while done < jobs:
            exchanged = store.exchange(node, outcomes, wants)
            done += sum(exchanged.accepted)
            now = time.monotonic()
            outcomes = [
                Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, now, now, b"3")
                for claim in exchanged.claims
            ]

    figure = timed(jobs, exchange)
    store.leave(node)
    return figure


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """Keep so many threads busy with Python code."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(100))

    running = [threading.Thread(target=spin) for _ in range(count)]
    for thread in running:
        thread.start()
    yield
    stop.set()
    for thread in running:
        thread.join()


def contended(store: Store, jobs: int) -> Figure:
    with spinning(2):
        return drain(store, jobs, 256)


def floor_singles(folder: Path, jobs: int, synchronous: str) -> Figure:
    connection = sqlite3.connect(folder / f"floor-{synchronous}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS jobs (key INTEGER PRIMARY KEY, at, payload)")
    connection.execute("CREATE INDEX IF NOT EXISTS by_time ON jobs (at)")

    def insert() -> None:
        for number in range(jobs):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO jobs (at, payload) VALUES (?, ?)", (number, "[[1,2]]"))
            connection.execute("COMMIT")

    figure = timed(jobs, insert)
    connection.close()
    return figure


def fill(store: Store) -> None:
    """Put a million foreign jobs and a million finished ones into the store."""
    for _ in range(MILLION // 20_000):
        store.enqueue_many([FOREIGN] * 20_000)
        drain(store, 20_000, 256)


class Table:
    """Collects figures by row over the rounds."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Figure]] = {}

    def add(self, row: str, figure: Figure) -> None:
        self._rows.setdefault(row, []).append(figure)

    def median(self, row: str) -> float:
        return statistics.median(rate for rate, _ in self._rows[row])

    def print(self) -> None:
        print(f"{'':44}{'jobs/s':>10}{'us CPU/job':>12}")
        for row, figures in self._rows.items():
            cpu = statistics.median(cpu for _, cpu in figures)
            print(f"{row:44}{self.median(row):>10,.0f}{cpu:>12.1f}")

    def ratio(self, row: str, to: str) -> None:
        if row in self._rows and to in self._rows:
            print(f"{row} / {to}: {self.median(row) / self.median(to):.2f}")


def measure(table: Table, label: str, store: Store, jobs: int) -> None:
    store.enqueue_many([JOB])
    table.add(f"{label}: bulk enqueue", bulk(store, jobs))
    table.add(f"{label}: enqueue one by one", singles(store, jobs // 4))
    for batch in (256, 8, 1):
        table.add(f"{label}: drain in {batch}s", drain(store, jobs if batch > 1 else 2000, batch))
    table.add(f"{label}: drain in 256s, 2 busy threads", contended(store, jobs // 4))


def one_round(table: Table, folder: Path, jobs: int) -> None:
    table.add("floor, NORMAL: insert one by one", floor_singles(folder, jobs // 4, "NORMAL"))
    table.add("floor, FULL: insert one by one", floor_singles(folder, jobs // 10, "FULL"))
    normal = SqliteStore(folder / "normal.db", durability="normal")
    measure(table, "sqlite, normal", normal, jobs)
    normal.close()
    full = SqliteStore(folder / "full.db")
    table.add("sqlite, full: enqueue one by one", singles(full, jobs // 10))
    table.add("sqlite, full: enqueue, 16 threads", threads(full, jobs))
    table.add("sqlite, full: drain in 256s", drain(full, jobs, 256))
    full.close()
    measure(table, "memory", MemoryStore(), jobs)


def big(table: Table, folder: Path, jobs: int, rounds: int) -> None:
    empty = SqliteStore(folder / "empty.db", durability="normal")
    full = SqliteStore(folder / "big.db", durability="normal")
    fill(full)
    for _ in range(rounds):
        table.add("drain in 256s, empty store", drain(empty, jobs, 256))
        table.add("drain in 256s, 1,000,000 + 1,000,000", drain(full, jobs, 256))
        table.add("drain in 1s, empty store", drain(empty, 1000, 1))
        table.add("drain in 1s, 1,000,000 + 1,000,000", drain(full, 1000, 1))
        table.add("bulk, 1,000,000 + 1,000,000", bulk(full, jobs))
    started = time.perf_counter()
    full.stats()
    print(f"stats over both millions: {time.perf_counter() - started:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, ", end="")
    print(f"msgspec {msgspec.__version__}, {platform.platform()}, {sys.argv[1:]}")
    table = Table()
    for _ in range(options.rounds):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        one_round(table, folder, options.jobs)
        shutil.rmtree(folder)
    if options.big:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        big(table, folder, options.jobs, options.rounds)
        shutil.rmtree(folder)
    table.print()
    table.ratio("sqlite, normal: enqueue one by one", "floor, NORMAL: insert one by one")
    table.ratio("sqlite, full: enqueue one by one", "floor, FULL: insert one by one")
    table.ratio("drain in 256s, 1,000,000 + 1,000,000", "drain in 256s, empty store")
    table.ratio("drain in 1s, 1,000,000 + 1,000,000", "drain in 1s, empty store")


if __name__ == "__main__":
    main()
