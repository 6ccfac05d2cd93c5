"""`mainspring stats`: how many jobs there are, and how far behind the workers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines, print_table
from mainspring.model.counted import counted
from mainspring.model.duration import span
from mainspring.model.job import JobState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

COUNTS = ("ready", "scheduled", *(state.value for state in JobState if state != JobState.PENDING))
HEADS = ("QUEUE", "OLDEST", *(name.upper() for name in COUNTS))
DISPENSABLE = ("CANCELLED", "COMPLETED", "SCHEDULED", "QUEUE")
ALL = "all"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.set_defaults(verb=show_stats)


def show_stats(queue: Queue, options: argparse.Namespace) -> int:
    """Print the counts of each queue and of all, the slots, and jobs that nobody would take."""
    stats = queue.stats()
    if options.json:
        print_json(dict(stats))
        return DONE
    rows = [*sorted(stats["queues"].items()), (ALL, stats)]
    print_table(
        HEADS,
        [_cells(name, counts) for name, counts in rows],
        numbers=HEADS[1:],
        dispensable=DISPENSABLE,
    )
    print_lines(_sentences(stats))
    return DONE


def _cells(name: str, counts: Mapping[str, Any]) -> tuple[str, ...]:
    oldest = counts["oldest_ready"]
    numbers = (f"{counts[count]:,}" for count in COUNTS)
    return (name, "" if oldest is None else span(oldest), *numbers)


def _sentences(stats: Mapping[str, Any]) -> Iterator[str]:
    slots = ", ".join(
        f"{kind} {load['busy']} of {load['size']}" for kind, load in stats["slots"].items()
    )
    yield f"{counted(stats['workers'], 'worker')}; busy slots: {slots or 'none reported'}"
    if stats["unclaimable"]:
        jobs = counted(stats["unclaimable"], "job waits", "jobs wait")
        yield f"{jobs} for a worker that knows the task"
