"""Runs the rows: every contender in turn, round after round, each run in processes of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from benchmarks.contenders.setup import Setup
from benchmarks.lineup import LINEUPS, ROWS, Contestant, Row, interpreter_with_rivals
from benchmarks.table import Samples, print_machine, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PATIENCE, LONGEST = 300.0, 1_800.0

AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
"""A worker finds its modules compiled, as those of an installed package are."""


class Answer(TypedDict):
    """What a run prints, as JSON."""

    version: str
    figures: dict[str, float]


@dataclass(slots=True)
class Comparison:
    """The samples of one call of the benchmark, its versions, and what went wrong."""

    options: argparse.Namespace
    pythons: dict[tuple[str, ...], str]
    """A Python for each set of rivals."""
    samples: Samples = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Take every sample; a contender that fails is noted, and the others go on."""
        for round_number in range(self.options.rounds):
            for row, contestant in self.turns(round_number):
                show_progress(f"round {round_number + 1}, {row.title}: {contestant.name}")
                self.take(row, contestant)
        show_progress("")

    def turns(self, round_number: int) -> Iterator[tuple[Row, Contestant]]:
        """Yield who runs what in this round; every second round begins with the last."""
        order = 1 if round_number % 2 == 0 else -1
        for row in ROWS:
            if self.options.row not in row.title or (row.once and round_number > 0):
                continue
            if row.long and self.options.quick:
                continue
            if row.durability == "full" and self.options.store == "redis":
                continue
            for contestant in LINEUPS[self.options.store][::order]:
                if self.admits(contestant, row, round_number):
                    yield row, contestant

    def admits(self, contestant: Contestant, row: Row, round_number: int) -> bool:
        """Whether it takes part; in a quick run rivals sit out the last round."""
        if contestant.only not in ("", row.verb):
            return False
        if contestant.name in row.without or contestant.name in self.options.without:
            return False
        if not self.options.quick:
            return True
        last = self.options.rounds > 1 and round_number == self.options.rounds - 1
        return contestant.quick and not (contestant.rival and last)

    def take(self, row: Row, contestant: Contestant) -> None:
        """Run one row once, and keep its figures."""
        size = row.size_for(contestant, quick=self.options.quick)
        with tempfile.TemporaryDirectory(dir=self.options.dir) as folder:
            setup = Setup(
                folder,
                row.task,
                row.durability,
                "yes" if contestant.tuned else "",
                contestant.server,
            )
            try:
                answer = self.ask(setup, contestant, row, size)
            except (subprocess.SubprocessError, ValueError) as error:
                self.failures.append(f"{row.title}: {contestant.name}: {reason(error, folder)}")
                return
        self.versions[contestant.name] = answer["version"]
        for figure, value in answer["figures"].items():
            self.samples[row.title, figure, contestant.name].append(value)

    def ask(self, setup: Setup, contestant: Contestant, row: Row, size: int) -> Answer:
        """Run a contender's row in a process of its own and return its answer."""
        python = self.pythons[contestant.pins] if contestant.rival else sys.executable
        path = os.pathsep.join((str(Path(python).parent), os.environ["PATH"]))
        arguments = ("-m", "benchmarks.contenders.rows", contestant.module, row.verb, str(size))
        done = subprocess.run(
            (python, *arguments),
            env={**os.environ, **AS_INSTALLED, "PATH": path, **setup.variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST if row.long else PATIENCE,
        )
        answer: Answer = json.loads(done.stdout.splitlines()[-1])
        return answer


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<78}\r", end="", file=sys.stderr, flush=True)


def reason(error: Exception, folder: str) -> str:
    """Return the last line of what the contender said, and of what its worker said."""
    said = str(getattr(error, "stderr", "") or error).strip().splitlines()
    log = Path(folder, "worker.log")
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " | ".join([*said[-1:], *lines[-1:]])


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare mainspring with its floor and rivals.")
    parser.add_argument("--quick", action="store_true", help="about three minutes")
    parser.add_argument("--store", choices=sorted(LINEUPS), default="sqlite", help="ours")
    parser.add_argument("--rounds", type=int, help="how often each row runs (3; full: 5)")
    parser.add_argument("--row", default="", help="only rows whose title contains this")
    parser.add_argument("--without", action="append", default=[], help="leave a contender out")
    parser.add_argument("--dir", help="where the databases lie (default: the temporary folder)")
    parser.add_argument("--json", type=Path, help="write every sample to this file as well")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    return options


def main() -> int:
    options = read_options()
    wanted = {
        one.pins
        for one in LINEUPS[options.store]
        if one.rival and (one.quick or not options.quick) and one.name not in options.without
    }
    comparison = Comparison(options, {pins: interpreter_with_rivals(pins) for pins in wanted})
    comparison.run()
    print_machine(comparison.versions)
    print_table(comparison.samples)
    for failure in comparison.failures:
        print(f"failed: {failure}")
    if options.json:
        rows = [[*key, values] for key, values in comparison.samples.items()]
        options.json.write_text(json.dumps({"versions": comparison.versions, "samples": rows}))
    return 1 if comparison.failures else 0
