"""Compare in-process workers with neotasker and bare asyncio: `python benchmarks/in_process.py`.

Every contender runs each row in turn, in processes of its own, over and over; medians are printed
with their ratios and the bars that we set ourselves. Nothing is asserted. neotasker is installed
into a cache folder outside this project. `--quick` takes under three minutes, the full comparison
about ten. What is idle is measured on Linux only.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
# Python puts this script's folder first, where queue.py would hide the standard library's queue.
sys.path[0] = str(ROOT)

from benchmarks.comparison import Answer, show_progress  # noqa: E402  # only found from here on
from benchmarks.lineup import interpreter_with_rivals  # noqa: E402  # see above
from benchmarks.table import Samples, print_machine, shown  # noqa: E402  # see above

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS, RIVAL, FLOOR = "mainspring", "neotasker", "asyncio"
RIVALS = ("neotasker==0.0.41",)
PATIENCE = 150.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; the full run does `growth` times as much. `once`: in one round."""

    title: str
    verb: str
    colour: str
    size: int
    bar: str
    rivals_size: int = 0
    floor: bool = False
    growth: int = 3
    once: bool = False

    def contenders(self, round_number: int, *, quick: bool) -> tuple[str, ...]:
        """Return who takes part in a round; in a quick run the rival does so once."""
        rival = () if quick and round_number else (RIVAL,)
        return (OURS, *rival, *((FLOOR,) if self.floor else ()))

    def size_for(self, contender: str, *, quick: bool) -> int:
        """Return how many items, runs or seconds it gets."""
        size = self.rivals_size if contender == RIVAL and self.rivals_size else self.size
        return size * (1 if quick else self.growth)


SPACED, AT_ONCE, IDLE = "0.15 / 1 ms", "0.2 ms (p50)", "0.1 %"
LIMITS = {(SPACED, "p50 ms"): 0.15, (SPACED, "p99 ms"): 1.0}
"""Bars in numbers, where a machine may wake too slowly for anybody to keep them."""

ROWS = (
    Row("queue", "queue", "async", 100_000, ">= 50,000", rivals_size=100),
    Row("queue", "queue", "sync", 100_000, ">= 20,000", rivals_size=100),
    Row("trigger to run, spaced", "trigger_spaced", "async", 100, SPACED, floor=True),
    Row("trigger to run, spaced", "trigger_spaced", "sync", 100, SPACED, floor=True),
    Row("trigger back to back", "trigger_at_once", "async", 5_000, AT_ONCE, 50, floor=True),
    Row("trigger back to back", "trigger_at_once", "sync", 5_000, AT_ONCE, 50, floor=True),
    Row("100 idle: event", "idle_event", "async", 2, IDLE, growth=5, once=True),
    Row("100 idle: event", "idle_event", "sync", 2, IDLE, growth=5, once=True),
    Row("100 idle: queue", "idle_queue", "async", 2, IDLE, growth=5, once=True),
    Row("100 idle: slow interval", "idle_slow", "async", 2, IDLE, growth=5, once=True),
    Row("100 idle: slow interval", "idle_slow", "sync", 2, IDLE, growth=5, once=True),
    # In every round: how often a process wakes depends on the moment at which its workers started.
    Row("100 at 1 s", "idle_second", "async", 8, "1.2 x asyncio", floor=True),
    Row("100 at 1 s", "idle_second", "sync", 8, "1.2 x asyncio"),
    Row("1,000 intervals", "crowd", "async", 1, "0.2, 0.2 s", growth=1),
    Row("1,000 intervals", "crowd", "sync", 1, "0.2, 0.2 s", growth=1),
    Row("spawn", "spawn", "sync", 60, ">= 1.0 x plain", floor=True, growth=1),
    Row("lateness at 10 ms", "lateness", "async", 200, "0.5 / 2.5 ms", floor=True, growth=5),
)


def compare(options: argparse.Namespace, pythons: Mapping[str, str]) -> tuple[Samples, list[str]]:
    """Take every sample; return them, and the versions or what went wrong."""
    samples: Samples = defaultdict(list)
    notes: dict[str, str] = {}
    for round_number in range(options.rounds):
        for row in ROWS:
            if options.row not in f"{row.title} {row.colour}" or (row.once and round_number):
                continue
            for name in row.contenders(round_number, quick=options.quick):
                show_progress(f"round {round_number + 1}, {row.title}, {row.colour}: {name}")
                size = row.size_for(name, quick=options.quick)
                try:
                    answer = ask(pythons[name], name, row, size)
                except (subprocess.SubprocessError, ValueError, IndexError) as error:
                    said = str(getattr(error, "stderr", "") or error).strip().splitlines()
                    notes[f"{row.title} {row.colour} {name}"] = f"failed: {said[-1:]}"
                    continue
                notes[name] = answer["version"]
                for figure, value in answer["figures"].items():
                    samples[title_of(row), figure, name].append(value)
    show_progress("")
    return samples, list(notes.values())


def title_of(row: Row) -> str:
    return f"{row.title}, {row.colour}"


def ask(python: str, name: str, row: Row, size: int) -> Answer:
    """Run a contender's row in a process of its own and return its answer."""
    arguments = ("-m", "benchmarks.contenders.worker_rows", name, row.verb, row.colour, str(size))
    done = subprocess.run(
        (python, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def print_table(samples: Samples) -> None:
    """Print medians; in brackets ours divided by it."""
    medians = {key: statistics.median(values) for key, values in samples.items()}
    print(f"{'':<31}{'':<13}" + "".join(f"{name:>20}" for name in (OURS, RIVAL, FLOOR)) + "   bar")
    for row in ROWS:
        title = title_of(row)
        for figure in dict.fromkeys(figure for one, figure, _ in medians if one == title):
            ours = medians.get((title, figure, OURS))
            cells = [
                cell(ours, medians.get((title, figure, name)), name)
                for name in (OURS, RIVAL, FLOOR)
            ]
            # Where a bare event takes longer, the bar says more of the machine than of anybody.
            limit = LIMITS.get((row.bar, figure), math.inf)
            below = medians.get((title, figure, FLOOR), 0.0) > limit
            bar = f"{row.bar}{', below the floor here' if below else ''}"
            print(f"{title:<31}{figure:<13}{''.join(f'{one:>20}' for one in cells)}   {bar}")


def cell(ours: float | None, value: float | None, name: str) -> str:
    if value is None:
        return "-"
    text = shown(value) if value >= 1 else f"{value:.3f}"
    return text if name == OURS or ours is None or not value else f"{text} ({shown(ours / value)})"


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare in-process workers.")
    parser.add_argument("--quick", action="store_true", help="under three minutes")
    parser.add_argument("--rounds", type=int, help="how often each row runs (2; full: 5)")
    parser.add_argument("--row", default="", help="only rows whose title contains this")
    parser.add_argument("--json", type=Path, help="write every sample to this file as well")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    python = sys.executable
    pythons = {OURS: python, FLOOR: python, RIVAL: interpreter_with_rivals(RIVALS)}
    samples, notes = compare(options, pythons)
    print_machine({note: note for note in notes})
    print_table(samples)
    if options.json:
        options.json.write_text(json.dumps([[*key, values] for key, values in samples.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
