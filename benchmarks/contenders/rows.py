"""The rows of the comparison, in words that fit every contender.

`python -m benchmarks.contenders.rows NAME ROW SIZE` runs one row once, in a process of its own, and
prints its figures as JSON.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from benchmarks.contenders import postgres_server, redis_server
from benchmarks.contenders.setup import Contender, Setup
from benchmarks.contenders.workload import first_began, forget_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

THREADS = 64
PATIENCE = 120.0

Figures = dict[str, float]


class Crowded(Protocol):
    """What a contender must do in addition where only we are asked."""

    def enqueue_behind(self, calls: Sequence[tuple[int, int]]) -> None:
        """Keep jobs that are less urgent than all others."""
        ...

    def enqueue_naps(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        """Keep jobs that take a second."""
        ...


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


def drain_by_four(queue: Contender, jobs: int) -> Figures:
    """The same with four."""
    return drain_by(queue, jobs, workers=4)


def drain_by(queue: Contender, jobs: int, *, workers: int) -> Figures:
    handles = queue.enqueue_many(calls(jobs))
    queue.finished()  # its imports and connections are none of the drain
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


def enqueue_while_draining(queue: Contender, jobs: int) -> Figures:
    """How long one `enqueue` takes two producing threads, while a worker drains what they give."""
    times: list[list[float]] = [[], []]

    def produce(mine: list[float]) -> None:
        for first, second in calls(jobs):
            began = time.perf_counter()
            queue.share(first, second)
            mine.append((time.perf_counter() - began) * 1_000)

    with worker(queue):
        queue.result(queue.enqueue(0, 0))
        queue.enqueue_many(calls(jobs))
        threads = [threading.Thread(target=produce, args=(mine,)) for mine in times]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    taken = sorted(times[0] + times[1])
    return {"p50 ms": statistics.median(taken), "p99 ms": taken[int(len(taken) * 0.99)]} | {
        "max ms": taken[-1]
    }


MILLION = 1_000_000


def drain_among_a_million(queue: Contender, jobs: int) -> Figures:
    """A drain beside a million finished jobs, with a million more that wait behind."""
    backlog = cast("Crowded", queue)
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(worker(queue))
        for _ in range(20):
            queue.result(queue.enqueue_many(calls(MILLION // 20))[-1])
        wait_until(lambda: queue.finished() >= MILLION, every=1)
    for _ in range(20):
        backlog.enqueue_behind(calls(MILLION // 20))
    # The first drain also puts away the log that the filling has left.
    return [drain_first(queue, jobs) for _ in range(4)][-1]


def drain_first(queue: Contender, jobs: int) -> Figures:
    """Drain the jobs that go before all others."""
    folder = Setup.from_environment().folder
    forget_marks(folder)
    handles = queue.enqueue_many(calls(jobs))
    with worker(queue):
        queue.result(handles[-1])
        ended = time.time()
    return {"per second": jobs / (ended - first_began(folder))}


def naps_by_two(queue: Contender, jobs: int) -> Figures:
    """Jobs of 1 s behind 10,000 no-ops, on two workers of 8 threads: beyond what it must take."""
    crowd = cast("Crowded", queue)
    must = math.ceil(jobs / 16)
    with worker(queue), worker(queue):
        queue.result(queue.enqueue(0, 0))
        noops = queue.enqueue_many(calls(10_000))
        naps = crowd.enqueue_naps(calls(jobs))
        queue.result(noops[-1])
        began = time.perf_counter()
        for handle in naps:
            queue.result(handle)
        return {"s beyond ideal": time.perf_counter() - began - must}


def idle(queue: Contender, seconds: int) -> Figures:
    """What a worker without work costs, after its first job; also its server, if it has one."""
    setup = Setup.from_environment()
    statements = STATEMENTS.get(setup.server)
    with worker(queue) as process:
        queue.result(queue.enqueue(1, 2))
        # A server counts what a connection did up to 10 s later.
        time.sleep(13 if statements else 1)
        before = cpu_seconds(process.pid)
        asked = statements(setup.folder) if statements else 0
        time.sleep(seconds)
        share = (cpu_seconds(process.pid) - before) / seconds * 100
        figures = {"% of a core": share, "RSS MB": resident_megabytes(process.pid)}
        if statements:
            figures["statements/s"] = (statements(setup.folder) - asked - 1) / seconds
        return figures


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
        drain_by_four,
        round_trip,
        enqueue_while_draining,
        drain_among_a_million,
        naps_by_two,
        idle,
        start,
    )
}


SERVERS: dict[str, Callable[[str], AbstractContextManager[object]]] = {
    "": nullcontext,
    "redis": redis_server.server,
    "postgres": postgres_server.server,
}


STATEMENTS: dict[str, Callable[[str], int]] = {
    "redis": redis_server.statements,
    "postgres": postgres_server.statements,
}


def main(arguments: Sequence[str]) -> None:
    name, row, size = arguments
    setup = Setup.from_environment()
    with SERVERS[setup.server](setup.folder):
        module = importlib.import_module(f"benchmarks.contenders.on_{name}")
        queue: Contender = module.Contender()
        print(json.dumps({"version": queue.version, "figures": ROWS[row](queue, int(size))}))


if __name__ == "__main__":
    main(sys.argv[1:])
