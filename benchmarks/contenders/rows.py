"""The rows of the comparison, in words that fit every contender.

`python -m benchmarks.contenders.rows NAME ROW SIZE` runs one row once, in a process of its own, and
prints its figures as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders.setup import Contender, Setup
from benchmarks.contenders.workload import first_began

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

THREADS = 64
PATIENCE = 120.0

Figures = dict[str, float]


def calls(jobs: int) -> list[tuple[int, int]]:
    return [(number, number + 1) for number in range(jobs)]


def enqueue(queue: Contender, jobs: int) -> Figures:
    """One job after the other, from one thread."""
    began = time.perf_counter()
    for first, second in calls(jobs):
        queue.enqueue(first, second)
    return {"per second": jobs / (time.perf_counter() - began)}


def enqueue_from_threads(queue: Contender, jobs: int) -> Figures:
    """The same from 64 threads at once."""
    ready = threading.Barrier(THREADS + 1)

    def produce() -> None:
        ready.wait()
        for first, second in calls(jobs // THREADS):
            queue.share(first, second)

    threads = [threading.Thread(target=produce) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return {"per second": jobs // THREADS * THREADS / (time.perf_counter() - began)}


def enqueue_many(queue: Contender, jobs: int) -> Figures:
    """All jobs in one call."""
    many = calls(jobs)
    began = time.perf_counter()
    queue.enqueue_many(many)
    return {"per second": jobs / (time.perf_counter() - began)}


def drain(queue: Contender, jobs: int) -> Figures:
    """A full queue and a worker: from the first body's start to the last recorded result."""
    return drain_by(queue, jobs, workers=1)


def drain_by_two(queue: Contender, jobs: int) -> Figures:
    """The same with two worker processes."""
    return drain_by(queue, jobs, workers=2)


def drain_by(queue: Contender, jobs: int, *, workers: int) -> Figures:
    handles = queue.enqueue_many(calls(jobs))
    with ExitStack() as running:
        for _ in range(workers):
            running.enter_context(worker(queue))
        queue.result(handles[-1])
        wait_until(lambda: queue.finished() >= jobs, every=0.002)
        ended = time.time()
    return {"per second": jobs / (ended - first_began(Setup.from_environment().folder))}


def round_trip(queue: Contender, trips: int) -> Figures:
    """From `enqueue` to the result, with an idle worker in another process."""
    with worker(queue):
        queue.result(queue.enqueue(0, 0))
        times = sorted(one_trip(queue) for _ in range(trips))
    return {"p50 ms": statistics.median(times), "p99 ms": times[int(len(times) * 0.99)]}


def one_trip(queue: Contender) -> float:
    time.sleep(0.003)  # the worker goes idle again
    began = time.perf_counter()
    queue.result(queue.enqueue(1, 2))
    return (time.perf_counter() - began) * 1_000


def idle(queue: Contender, seconds: int) -> Figures:
    """What a worker without work costs, after its first job."""
    with worker(queue) as process:
        queue.result(queue.enqueue(1, 2))
        time.sleep(1)
        before = cpu_seconds(process.pid)
        time.sleep(seconds)
        share = (cpu_seconds(process.pid) - before) / seconds * 100
        return {"% of a core": share, "RSS MB": resident_megabytes(process.pid)}


def start(queue: Contender, _: int) -> Figures:
    """From the command to the first job's result."""
    handle = queue.enqueue(1, 2)
    began = time.perf_counter()
    with worker(queue):
        queue.result(handle)
        return {"seconds": time.perf_counter() - began}


@contextmanager
def worker(queue: Contender) -> Iterator[subprocess.Popen[bytes]]:
    """Run the contender's worker; afterwards it and its children are killed."""
    log = Path(Setup.from_environment().folder, "worker.log")
    with (
        log.open("ab") as output,
        subprocess.Popen(
            queue.worker, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_until(reached: Callable[[], bool], *, every: float) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            message = f"not done after {PATIENCE:.0f} s"
            raise TimeoutError(message)
        time.sleep(every)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process's threads have had so far (Linux)."""
    accounts = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9


def resident_megabytes(pid: int) -> float:
    """Return a process's resident memory (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


ROWS: dict[str, Callable[[Contender, int], Figures]] = {
    row.__name__: row
    for row in (
        enqueue,
        enqueue_from_threads,
        enqueue_many,
        drain,
        drain_by_two,
        round_trip,
        idle,
        start,
    )
}


def main(arguments: Sequence[str]) -> None:
    name, row, size = arguments
    module = importlib.import_module(f"benchmarks.contenders.on_{name}")
    queue: Contender = module.Contender()
    print(json.dumps({"version": queue.version, "figures": ROWS[row](queue, int(size))}))


if __name__ == "__main__":
    main(sys.argv[1:])
