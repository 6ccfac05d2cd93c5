"""`mainspring failures`: what fails most, by task and error, since when, and samples."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines, print_table
from mainspring.model.counted import counted
from mainspring.model.duration import distance
from mainspring.model.printable import printable

if TYPE_CHECKING:
    import argparse

    from mainspring.queue import Queue
    from mainspring.queue.failures import FailureGroup

__all__ = ["add_options", "run"]

HEADS = ("JOBS", "TASK", "ERROR", "SINCE", "LAST", "SAMPLE")
DISPENSABLE = ("SINCE", "LAST", "SAMPLE")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument("--queue", metavar="NAME", help="of this queue only")
    parser.add_argument("--task", metavar="NAME", help="of this task only")
    parser.add_argument(
        "--limit", type=int, default=1_000, help="failed jobs to read, the newest (default: 1000)"
    )
    parser.set_defaults(verb=list_failures)


def list_failures(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each group of failed jobs, the largest first."""
    found = queue.failures(queue=options.queue, task=options.task, limit=options.limit)
    if options.json:
        groups = [_fields(group) for group in found.groups]
        print_json({"groups": groups, "looked": found.looked, "whole": found.whole})
        return DONE
    now = datetime.now(UTC)
    rows = [_row(group, now) for group in found.groups]
    print_table(HEADS, rows, numbers={"JOBS"}, dispensable=DISPENSABLE)
    if not found.whole:
        print_lines([f"of the newest {counted(found.looked, 'failed job')}; --limit reads more"])
    return DONE


def _fields(group: FailureGroup) -> dict[str, Any]:
    return {
        "count": group.count,
        "task": group.task,
        "error": group.error,
        "message": group.message,
        "since": group.first,
        "last": group.last,
        "samples": list(group.samples),
    }


def _row(group: FailureGroup, now: datetime) -> tuple[str, ...]:
    error = printable(f"{group.error}: {group.message}".removeprefix("mainspring.errors."))
    since, last = distance(group.first, now), distance(group.last, now)
    return (f"{group.count:,}", printable(group.task), error, since, last, group.samples[0])
