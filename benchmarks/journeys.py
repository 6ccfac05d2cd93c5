"""Count the Python calls and files of two journeys: `python benchmarks/journeys.py`.

A background worker from `start()` to its first run, and one job from `delay` to its result with the
worker in the same process. Calls into mainspring's own source are counted in every thread, the
median of some journeys is printed. Nothing is asserted. `--list` prints the calls of one journey in
order, with the thread that made each.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Python puts this script's folder first, where queue.py would hide the standard library's queue.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import mainspring  # noqa: E402  see above
from mainspring import Queue, TaskSupervisor, background_worker  # noqa: E402  see above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SOURCE = str(Path(mainspring.__file__).resolve().parent)
PATIENCE = 10.0
SETTLING = 0.1
"""Seconds for what a start has set going, which is no part of the journey."""


@dataclass(slots=True)
class Journey:
    """The calls of one journey: file, function and thread of each."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def files(self) -> set[str]:
        """The files that it went through."""
        return {file for file, _, _ in self.calls}


class Counter:
    """Counts the calls of all threads while a journey is under way."""

    def __init__(self) -> None:
        self._journey: Journey | None = None

    @contextmanager
    def counting(self) -> Iterator[Journey]:
        """Count into a new journey."""
        self._journey = journey = Journey()
        try:
            yield journey
        finally:
            self._journey = None

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note a call, as `sys.setprofile` tells it."""
        journey = self._journey
        if journey is None or journey.over.is_set() or event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(SOURCE):
            file = code.co_filename[len(SOURCE) + 1 :]
            journey.calls.append((file, code.co_qualname, threading.current_thread().name))


def start_to_first_run(
    counter: Counter, target: Callable[[threading.Event], object], **options: Any
) -> Journey:
    """Start a worker of a supervisor that is active, and wait for its first run."""
    supervisor = TaskSupervisor("journey")
    supervisor.start()
    supervisor.get_loop()  # so that the loop of async targets is there
    decorate: Any = background_worker
    worker = decorate(supervisor=supervisor, **options)(target)
    time.sleep(SETTLING)
    with counter.counting() as journey:
        worker.start(journey.over)
        journey.over.wait(PATIENCE)
    supervisor.stop()
    return journey


def run_once(ran: threading.Event) -> bool:
    """Say that it runs, and end."""
    ran.set()
    return False


async def arun_once(ran: threading.Event) -> bool:
    """Say that it runs, and end."""
    ran.set()
    return False


def delay_to_result(counter: Counter, queue: Queue) -> Journey:
    """Enqueue a job and wait for its result, with one idle worker in this process."""

    @queue.task(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    with queue.worker():
        add.delay(1, 2).result(timeout=PATIENCE)
        time.sleep(SETTLING)
        with counter.counting() as journey:
            add.delay(1, 2).result(timeout=PATIENCE)
    queue.close()
    return journey


def journeys(counter: Counter, folder: str) -> dict[str, Callable[[], Journey]]:
    """Return the journeys by what they are."""
    numbers = iter(range(1_000_000))
    return {
        "start() to first run, continuous": lambda: start_to_first_run(counter, run_once),
        "start() to first run, interval": lambda: start_to_first_run(
            counter, run_once, interval=60.0
        ),
        "start() to first run, async": lambda: start_to_first_run(
            counter, arun_once, interval=60.0
        ),
        "delay() to result, memory": lambda: delay_to_result(
            counter, Queue("memory://", workers=1)
        ),
        "delay() to result, SQLite": lambda: delay_to_result(
            counter, Queue(db_path=f"{folder}/{next(numbers)}.db", workers=1)
        ),
    }


def main() -> None:
    """Make each journey some times and print the medians."""
    parser = argparse.ArgumentParser(description="Count the calls of two journeys.")
    parser.add_argument("--rounds", type=int, default=7, help="journeys of each kind (7)")
    parser.add_argument("--list", action="store_true", help="print the calls of one journey each")
    options = parser.parse_args()
    counter = Counter()
    threading.setprofile(counter.profile)
    sys.setprofile(counter.profile)
    with tempfile.TemporaryDirectory() as folder:
        for title, make in journeys(counter, folder).items():
            made = [make() for _ in range(options.rounds)]
            calls = statistics.median(len(one.calls) for one in made)
            files = statistics.median(len(one.files) for one in made)
            print(f"{title:36} {calls:6.0f} calls {files:4.0f} files")
            if options.list:
                for file, function, thread in made[-1].calls:
                    print(f"    {thread:28.28} {file:40} {function}")


if __name__ == "__main__":
    main()
