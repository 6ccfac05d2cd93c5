"""Count the code base and what a user's call sets in motion: `python benchmarks/house.py`.

Of the source: lines, files, files under 60 lines, class names that stand twice, docstrings that
open with a riddle. Of a job's trip (`delay` until `result` has returned, with an idle worker in
the same process) and of a worker (`start` until its target runs): the calls of mainspring's
Python functions on all threads, and the files that they are in. Each is made 30 times, and the
median printed. Nothing is asserted. `--root PATH` counts another checkout, by the Python of its
own environment.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import statistics
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
# Python puts this script's folder first, where queue.py would hide the standard library's queue.
sys.path[0] = str(ROOT)

RIDDLES = re.compile(
    r"(?:What|Which|Who|Whom|Whose|Whether|How|When|Where|Why|Those|They|So|Of|That|Take|Learn|Tell)s?\b"
)
# The names of other packages, kept as they are.
NOT_OURS = "compat"
SMALL_FILE = 60
TRIPS = 30
PATIENCE = 10.0


class Calls(NamedTuple):
    """Calls of our Python functions during one trip, and the files that they are in."""

    calls: int
    files: int


class CallCounter:
    """Counts the calls of functions of one package on every thread that begins after it."""

    def __init__(self, package: Path) -> None:
        self._prefix = f"{package}{os.sep}"
        self._seen: list[str] | None = None
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        seen = self._seen
        if seen is not None and event == "call":
            name = frame.f_code.co_filename
            if name.startswith(self._prefix):
                seen.append(name)

    @contextmanager
    def counting(self, trips: list[Calls]) -> Iterator[None]:
        """Add to `trips` what is called within the block."""
        self._seen = seen = list[str]()
        try:
            yield
        finally:
            self._seen = None
        trips.append(Calls(len(seen), len(set(seen))))


def count_source(package: Path) -> dict[str, int]:
    """Return the counts of a package's source by what was counted."""
    lines = {path: path.read_text().splitlines() for path in sorted(package.rglob("*.py"))}
    classes: Counter[str] = Counter()
    riddles = 0
    for path, text in lines.items():
        ours = NOT_OURS not in path.relative_to(package).parts
        for node in ast.walk(ast.parse("\n".join(text))):
            match node:
                case ast.ClassDef(name=name) if ours:
                    classes[name] += 1
                case ast.Expr(value=ast.Constant(value=str(docstring))):
                    riddles += bool(RIDDLES.match(docstring))
    return {
        "lines": sum(map(len, lines.values())),
        "files": len(lines),
        f"files under {SMALL_FILE} lines": sum(len(text) < SMALL_FILE for text in lines.values()),
        "class names that stand twice": sum(count > 1 for count in classes.values()),
        "docstrings that open with a riddle": riddles,
    }


def job_trips(counter: CallCounter, url: str) -> list[Calls]:
    """Return what a job costs from `delay` until its result is there, worker in this process."""
    from mainspring import Queue  # noqa: PLC0415  # after the counter: its threads are counted

    queue = Queue(url, workers=1)

    @queue.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    trips: list[Calls] = []
    with queue.worker():
        for number in range(TRIPS):
            threading.Event().wait(0.05)  # the worker is idle again
            with counter.counting(trips):
                double.delay(number).result(timeout=PATIENCE)
    queue.close()
    return trips


def worker_starts(counter: CallCounter, kind: str) -> list[Calls]:
    """Return what a background worker costs from `start` until its target runs."""
    import mainspring  # noqa: PLC0415  # after the counter: its threads are counted

    mainspring.task_supervisor.start()
    trips: list[Calls] = []
    ran, counted = threading.Event(), threading.Event()

    def run(**_: object) -> None:
        ran.set()
        counted.wait(PATIENCE)  # one that is continuous would run again at once

    async def arun(**_: object) -> None:
        ran.set()

    makers: dict[str, Callable[[], mainspring.BackgroundWorker[..., Any]]] = {
        "continuous": lambda: mainspring.background_worker()(run),
        "interval": lambda: mainspring.background_worker(interval=3600)(run),
        "async": lambda: mainspring.background_worker(interval=3600)(arun),
    }
    for _ in range(TRIPS):
        worker = makers[kind]()
        with counter.counting(trips):
            worker.start()
            ran.wait(PATIENCE)
        counted.set()
        worker.stop()
        ran.clear()
        counted.clear()
    mainspring.task_supervisor.stop()
    return trips


def median(trips: list[Calls]) -> Calls:
    """Return the median calls and files; the first trips, which import, are left out."""
    warm = trips[len(trips) // 5 :]
    return Calls(
        round(statistics.median(trip.calls for trip in warm)),
        round(statistics.median(trip.files for trip in warm)),
    )


def print_trips(package: Path) -> None:
    """Print the medians of each kind of trip."""
    counter = CallCounter(package)
    with tempfile.TemporaryDirectory() as folder:
        for url in ("memory://", f"sqlite:///{folder}/jobs.db"):
            calls, files = median(job_trips(counter, url))
            print(f"job's trip, {url.split(':', 1)[0]:<22} {calls:>6} calls {files:>4} files")
    for kind in ("continuous", "interval", "async"):
        calls, files = median(worker_starts(counter, kind))
        print(f"worker's start, {kind:<18} {calls:>6} calls {files:>4} files")
    sys.setprofile(None)


def main() -> None:
    """Print the counts of this checkout or another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to count")
    package = parser.parse_args().root.resolve() / "src" / "mainspring"
    sys.path.insert(0, str(package.parent))
    for what, count in count_source(package).items():
        print(f"{what:<36} {count:>6,}")
    print_trips(package)


if __name__ == "__main__":
    main()
