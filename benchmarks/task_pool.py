"""Compare the task pool with async-task-worker and a floor: `python benchmarks/task_pool.py`.

The floor is a bare asyncio.PriorityQueue with a record and an asyncio task for each. Each contender
runs in turn, each run in a process of its own; medians are printed with their ratios. Nothing is
asserted. The rival is installed into a cache folder outside this project. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Python puts this file's folder first, where `queue.py` would hide the standard library's.
sys.path[0] = str(ROOT)

from benchmarks.lineup import interpreter_with_rivals  # noqa: E402  # found after the line above
from benchmarks.table import print_machine, shown  # noqa: E402

RIVAL = "async_task_worker"
RIVALS = ("async-task-worker==0.4.4",)
NAMES = ("floor", "mainspring", RIVAL)
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what is done, how often, and how often by the rival, which takes longer."""

    title: str
    verb: str
    size: int
    rival_size: int


ROWS = (
    Row("add to completed", "add_to_completed", 100_000, 5_000),
    Row("kept per finished task", "kept", 20_000, 2_000),
    Row("idle: add to body starts", "idle_start", 3_000, 500),
    Row("cache hit", "cache_hit", 30_000, 3_000),
)


@dataclass(slots=True)
class Comparison:
    """The samples of one call of the benchmark."""

    rivals_python: str
    samples: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    versions: dict[str, str] = field(default_factory=dict)

    def take(self, row: Row, name: str) -> None:
        """Run a row once, in a process of its own."""
        rival = name == RIVAL
        size = row.rival_size if rival else row.size
        python = self.rivals_python if rival else sys.executable
        done = subprocess.run(
            (python, "-m", "benchmarks.pool.rows", name, row.verb, str(size)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        self.versions[name] = answer["version"]
        for figure, value in answer["figures"].items():
            self.samples[row.title, figure, name].append(value)

    def print(self) -> None:
        """Print a line for each figure."""
        medians = {key: statistics.median(values) for key, values in self.samples.items()}
        print(f"{'':<28}{'':<12}" + "".join(f"{name:>24}" for name in NAMES))
        for title, figure in dict.fromkeys(key[:2] for key in medians):
            ours = medians[title, figure, "mainspring"]
            cells = [
                shown(value) + ("" if name == "mainspring" else f" ({ours / value:.2f})")
                for name in NAMES
                if (value := medians.get((title, figure, name))) is not None
            ]
            print(f"{title:<28}{figure:<12}" + "".join(f"{cell:>24}" for cell in cells))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the task pool with floor and rival.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each row runs (3)")
    parser.add_argument("--row", default="", help="only rows whose title contains this")
    options = parser.parse_args()
    comparison = Comparison(interpreter_with_rivals(RIVALS))
    for round_number in range(options.rounds):
        for row in ROWS:
            for name in NAMES[:: 1 if round_number % 2 == 0 else -1]:
                if options.row in row.title:
                    comparison.take(row, name)
    print_machine(comparison.versions)
    comparison.print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
