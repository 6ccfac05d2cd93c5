"""`mainspring stats`: how many jobs there are, and how far behind the workers are."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines, print_table
from mainspring.model.counted import counted
from mainspring.model.duration import latency, span
from mainspring.model.job import JobState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

COUNTS = ("ready", "scheduled", *(state.value for state in JobState if state != JobState.PENDING))
HEADS = ("QUEUE", "OLDEST", *(name.upper() for name in COUNTS))
DISPENSABLE = ("CANCELLED", "COMPLETED", "SCHEDULED", "QUEUE")
TIMES = tuple(f"{kind} {one}" for kind in ("WAIT", "RUN") for one in ("P50", "P95", "P99"))
RECENT_HEADS = ("QUEUE", "IN/S", "OUT/S", "FAILED", "RETRIED", *TIMES, "EMPTY IN")
RECENT_DISPENSABLE = (
    *("RETRIED", "RUN P99", "WAIT P99", "RUN P50", "WAIT P50", "IN/S"),
    *("RUN P95", "EMPTY IN", "QUEUE"),
)
ALL = "all"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument(
        "--window",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="to look back for rates and times (default: 900)",
    )
    parser.set_defaults(verb=show_stats)


def show_stats(queue: Queue, options: argparse.Namespace) -> int:
    """Print the counts of each queue and of all, what has been, slots, and what nobody takes."""
    stats = queue.stats(window=options.window)
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
    recent = stats["recent"]
    if any(recent[name] for name in ("completed", "failed", "retried", "cancelled")):
        print_lines(["", f"in the last {span(recent['seconds'])}:"])
        print_table(
            RECENT_HEADS,
            [_recent_cells(name, one["recent"]) for name, one in rows if one["recent"]],
            numbers=RECENT_HEADS[1:],
            dispensable=RECENT_DISPENSABLE,
        )
        print_lines([""])
    print_lines(_sentences(stats))
    print_lines(
        f"queue {name} is paused; to go on: mainspring queues resume {quote(name)}"
        for name in queue.paused()
    )
    return DONE


def _recent_cells(name: str, recent: Mapping[str, Any]) -> tuple[str, ...]:
    times = [
        "" if recent[kind] is None else latency(recent[kind][quantile])
        for kind in ("wait", "run")
        for quantile in ("p50", "p95", "p99")
    ]
    rates = ["" if recent[one] is None else f"{recent[one]:,.1f}" for one in ("in", "out")]
    counts = [f"{recent[one]:,}" for one in ("failed", "retried")]
    empty = recent["empty_in"]
    return (name, *rates, *counts, *times, latency(empty) if empty else "")


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
