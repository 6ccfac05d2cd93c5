"""`mainspring copy`: a queue copied from one store into another."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import queue_at
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.model.counted import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mainspring.queue.copying import CopyReport

HEADS = ("STATE", "SOURCE", "TARGET")
AGAIN = "run it again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("source", metavar="FROM_URL", help="where the jobs are")
    parser.add_argument("target", metavar="TO_URL", help="where they are to be")
    parser.add_argument(
        "--into-existing", action="store_true", help="also into a store with other jobs in it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Copy, print what is where, and return 1 if that differs."""
    with ExitStack() as stack:
        source = queue_at(options.source)
        stack.callback(source.close)
        target = queue_at(options.target, new=True)
        stack.callback(target.close)
        report = source.copy_to(target, into_existing=options.into_existing)
    if options.json:
        print_json({**asdict(report), "complete": report.complete})
    else:
        _print(report)
    return DONE if report.complete else NOT_DONE


def _print(report: CopyReport) -> None:
    counts = report.source.items()
    rows = [(state, f"{jobs:,}", f"{report.target[state]:,}") for state, jobs in counts]
    print_table(HEADS, rows, numbers=HEADS[1:])
    print_lines(_lines(report))


def _lines(report: CopyReport) -> Iterator[str]:
    kept = counted(len(report.schedules), "schedule"), counted(len(report.paused), "paused queue")
    yield f"copied now: {counted(report.copied, 'job')}; there: {kept[0]}, {kept[1]}"
    if report.ahead:
        yield f"not counted: {counted(report.ahead, 'job')} that went on in the target since"
    if report.others:
        yield f"not counted: {counted(report.others, 'job')} of the target alone"
    if report.missing:
        yield f"MISSING: {counted(report.missing, 'job')}, as {', '.join(report.examples)}"
    if report.unique_taken:
        has = counted(report.unique_taken, "job bears", "jobs bear")
        yield f"{has} a unique key of a live job of the target; {AGAIN} once those have ended"
    if report.key_taken:
        has = counted(report.key_taken, "job has", "jobs have")
        yield f"{has} the key of another job of the target; copy into an empty one"
    if report.lost_schedules:
        yield f"MISSING: schedules that can't be read: {', '.join(sorted(report.lost_schedules))}"
    yield "all of it is in the target" if report.complete else f"not all is in the target; {AGAIN}"
