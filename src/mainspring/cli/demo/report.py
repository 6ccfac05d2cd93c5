"""The demo's report: figures of an index and of the jobs that made it, as lines to print."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli.demo.output import BOLD, GREEN, RED
from mainspring.cli.demo.source import longest_of
from mainspring.errors import WorkerLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mainspring.cli.demo.output import DemoOutput
    from mainspring.cli.demo.source import SourceFile
    from mainspring.model.view import AttemptRecord

NAMED = 5
"""Most files that the report names for one problem."""
RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of the jobs, counted from the store's history."""

    jobs: int
    begun: int
    crashed: int

    @classmethod
    def of(cls, histories: Iterable[Sequence[AttemptRecord]]) -> Attempts:
        """Count; a claim that went back before its body began is no attempt."""
        jobs = list(histories)
        begun = [one for one in chain.from_iterable(jobs) if one.outcome != RELEASED]
        return cls(len(jobs), len(begun), sum(map(lost_its_worker, begun)))


@dataclass(frozen=True, slots=True)
class Report:
    """Compares the results of the jobs with those of a plain loop, with the time that each took."""

    root: Path
    folders: int
    found: list[SourceFile]
    straight: list[SourceFile]
    attempts: Attempts
    left_behind: int
    seconds: tuple[float, float, float]

    @property
    def differences(self) -> list[str]:
        """The paths that don't stand in both exactly once, with the same figures."""
        count = Counter(self.found)
        count.subtract(self.straight)
        return sorted({file.path for file, excess in count.items() if excess})

    @property
    def holds(self) -> bool:
        """True if every check succeeded."""
        return not self.differences and not self.left_behind

    def print(self, screen: DemoOutput) -> None:
        """Print the whole report."""
        screen.say("")
        for title, lines in (
            ("The index", self.figures()),
            ("The longest functions", self.longest()),
            ("How it was made", self.making()),
        ):
            screen.say(title, style=BOLD)
            screen.say("\n".join((*lines, "")))
        screen.say(self.verdict(), style=GREEN if self.holds else RED)

    def figures(self) -> Iterator[str]:
        """Yield what is in the files."""
        yield _line("files", len(self.found), f"in {self.folders:,} folders")
        yield _line("lines", sum(file.lines for file in self.found))
        yield _line("functions", sum(file.functions for file in self.found))
        yield _line("classes", sum(file.classes for file in self.found))
        problems = [file for file in self.found if file.problem]
        yield _line("do not parse", len(problems))
        for file in problems[:NAMED]:
            yield f"    {self._relative(file.path)}: {file.problem}"
        if problems[NAMED:]:
            yield f"    and {len(problems) - NAMED:,} more"

    def longest(self) -> Iterator[str]:
        """Yield the longest functions, each with its file and its lines."""
        for one in longest_of(chain.from_iterable(file.longest for file in self.found)):
            yield f"{one.lines:7,} lines  {one.name}  {self._relative(one.path)}:{one.line}"

    def making(self) -> Iterator[str]:
        """Yield what it took."""
        yield _line("jobs run", self.attempts.jobs, "a folder or a file each")
        yield _line("attempts", self.attempts.begun)
        yield _line("crashes recovered", self.attempts.crashed, "attempts whose worker was lost")
        yield _line("children left behind", self.left_behind or "none")
        whole, indexing, checking = self.seconds
        remark = f"indexing {indexing:.1f}, the straight loop {checking:.1f}"
        yield _line("seconds", f"{whole:.1f}", remark)

    def verdict(self) -> str:
        """Return whether the index is right, in a sentence."""
        differences, total = self.differences, len(self.straight)
        right = total - len({file.path for file in self.straight}.intersection(differences))
        sentence = (
            f"{right:,} of {total:,} files stand in the report exactly once, "
            "with the figures of a straight loop."
        )
        named = ", ".join(map(self._relative, differences[:NAMED]))
        return f"{sentence} Not so: {named}" if differences else sentence

    def _relative(self, path: str) -> str:
        return str(Path(path).relative_to(self.root))


def lost_its_worker(attempt: AttemptRecord) -> bool:
    """Return True if an attempt ended because the worker that ran it died."""
    return attempt.failure is not None and attempt.failure.type.endswith(f".{WorkerLost.__name__}")


def _line(name: str, figure: object, remark: str = "") -> str:
    text = f"{figure:,}" if isinstance(figure, int) else str(figure)
    return f"  {name:<22}{text:>9}  {remark}".rstrip()
