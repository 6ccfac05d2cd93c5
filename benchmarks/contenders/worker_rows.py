"""The rows of the in-process comparison, in words that fit every contender.

`python -m benchmarks.contenders.worker_rows NAME ROW COLOUR SIZE` runs one row once, in a process
of its own, and prints its figures as JSON. A colour is that of the target: `sync` or `async`.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.contenders.rows import Figures, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    Submit = Callable[[Callable[[], Any]], Future[Any]]

THREADS = 10
IDLERS = 100
CROWD = 1_000
SPACE = 0.02
TICK = 0.01
BURST = 2_000
PATIENCE = 120.0


class Contender(Protocol):
    """A library of in-process workers seen by the benchmark; each is a module."""

    version: str

    def prepare(self, threads: int) -> None:
        """Start what its workers need."""
        ...

    def make(self, target: Callable[..., Any], **options: Any) -> Any:
        """Make a worker that has not started."""
        ...

    def spawn(self, function: Callable[[], Any]) -> Future[Any]:
        """Call a function in a thread."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A contender and the colour of the targets it is given."""

    library: Contender
    colour: str

    def worker(self, body: Callable[..., Any], **options: Any) -> Any:
        """Make a worker whose target is `body`, or a coroutine function that calls it."""

        async def later(*items: Any, **_: Any) -> Any:
            return body(*items)

        def now(*items: Any, **_: Any) -> Any:
            return body(*items)

        target = later if self.colour == "async" else now
        return self.library.make(target, **{"name": "worker", **options})


def queue(stage: Stage, size: int) -> Figures:
    """Items from the main thread until the last one has been seen."""
    last = threading.Event()

    def see(item: int) -> None:
        if item == size:
            last.set()

    worker = stage.worker(see, queue=True)
    worker.start()
    began = time.perf_counter()
    for item in range(1, size + 1):
        worker.put_threadsafe(item)
    wait_for(last)
    return {"per second": size / (time.perf_counter() - began)}


def trigger_spaced(stage: Stage, size: int) -> Figures:
    """From a trigger to the run, with pauses in which the worker goes idle."""
    return triggers(stage, size, pause=SPACE)


def trigger_at_once(stage: Stage, size: int) -> Figures:
    """The same, each as soon as the last run has been seen."""
    return triggers(stage, size, pause=0.0)


def triggers(stage: Stage, size: int, *, pause: float) -> Figures:
    ran, moments = threading.Semaphore(0), [0.0]

    def run() -> None:
        moments[0] = time.perf_counter()
        ran.release()

    worker = stage.worker(run, event=True)
    worker.start()
    times = []
    for _ in range(size):
        time.sleep(pause)
        began = time.perf_counter()
        worker.trigger_threadsafe(force=True)
        ran.acquire(timeout=PATIENCE)
        times.append((moments[0] - began) * 1_000)
    return spread(times[1:])


def idle_event(stage: Stage, size: int) -> Figures:
    """What a hundred event workers cost that nobody triggers."""
    return idle(stage, size, event=True)


def idle_queue(stage: Stage, size: int) -> Figures:
    """The same of queue workers without items."""
    return idle(stage, size, queue=True)


def idle_slow(stage: Stage, size: int) -> Figures:
    """The same of interval workers between two runs."""
    return idle(stage, size, interval=3600)


def idle_second(stage: Stage, size: int) -> Figures:
    """The same of interval workers that run once a second."""
    return idle(stage, size, interval=1)


def idle(stage: Stage, size: int, **options: Any) -> Figures:
    for number in range(IDLERS):
        stage.worker(lambda *_: None, **options, name=f"idler {number}").start()
    time.sleep(1.2)
    before = cpu_seconds(os.getpid())
    time.sleep(size)
    return {"% of a core": (cpu_seconds(os.getpid()) - before) / size * 100}


def crowd(stage: Stage, _: int) -> Figures:
    """A thousand interval workers, started and stopped one by one."""
    workers = [
        stage.worker(lambda: None, interval=60, name=f"one of many {number}")
        for number in range(CROWD)
    ]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    started = time.perf_counter()
    time.sleep(0.5)
    ending = time.perf_counter()
    for worker in workers:
        worker.stop()
    return {"start s": started - began, "stop s": time.perf_counter() - ending}


def spawn(stage: Stage, size: int) -> Figures:
    """Calls in the thread pool, in bursts that alternate with those of a plain one beside it.

    Threads that fight for the interpreter scatter by a half from burst to burst, and more from
    process to process: only many pairs of neighbours tell which pool is the faster.
    """
    rates, ratios = [], []
    with ThreadPoolExecutor(THREADS) as plain:
        pair: list[Submit] = [stage.library.spawn, plain.submit]
        for number in range(size + 1):
            # Who comes second finds a warmer or a busier machine: each does so in turn.
            order = pair if number % 2 else pair[::-1]
            took = {function: burst(function) for function in order}
            ours, theirs = (took[function] for function in pair)
            rates.append(BURST / ours)
            ratios.append(theirs / ours)
    # The first pair starts the threads.
    return {
        "per second": statistics.median(rates[1:]),
        "x plain pool": statistics.median(ratios[1:]),
    }


def burst(submit: Submit) -> float:
    """Return the seconds from the first call to the last one's end."""
    began = time.perf_counter()
    for future in [submit(nothing) for _ in range(BURST)]:
        future.result(PATIENCE)
    return time.perf_counter() - began


def lateness(stage: Stage, size: int) -> Figures:
    """How late the runs of an interval worker come, measured from its first."""
    moments: list[float] = []
    last = threading.Event()

    def note() -> bool | None:
        moments.append(time.perf_counter())
        if len(moments) < size:
            return None
        last.set()
        return False

    # So that a run is of the tick of its number, as with the others, however late it comes.
    stage.worker(note, interval=TICK, misfire="all").start()
    wait_for(last)
    first = moments[0]
    return spread([(at - first - k * TICK) * 1_000 for k, at in enumerate(moments)][1:])


def nothing() -> None:
    pass


def spread(milliseconds: Sequence[float]) -> Figures:
    ordered = sorted(milliseconds)
    return {"p50 ms": statistics.median(ordered), "p99 ms": ordered[int(len(ordered) * 0.99)]}


def wait_for(event: threading.Event) -> None:
    if not event.wait(PATIENCE):
        message = f"not done after {PATIENCE:.0f} s"
        raise TimeoutError(message)


ROWS: dict[str, Callable[[Stage, int], Figures]] = {
    row.__name__: row
    for row in (
        queue,
        trigger_spaced,
        trigger_at_once,
        idle_event,
        idle_queue,
        idle_slow,
        idle_second,
        crowd,
        spawn,
        lateness,
    )
}


def main(arguments: Sequence[str]) -> None:
    name, row, colour, size = arguments
    library: Any = importlib.import_module(f"benchmarks.contenders.workers_on_{name}")
    library.prepare(THREADS)
    figures = ROWS[row](Stage(library, colour), int(size))
    print(json.dumps({"version": library.version, "figures": figures}), flush=True)
    # Not every contender ends when it is told to.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
