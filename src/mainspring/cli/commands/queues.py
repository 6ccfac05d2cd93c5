"""`mainspring queues`: list, pause and resume queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.app_loader.audit import changed_in, note
from mainspring.cli.app_loader.verbs import add_verb, run
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.model.job import JobState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

STATES = [state.value for state in JobState]
DISPENSABLE = ("CANCELLED", "COMPLETED", "PAUSED", "QUEUE")
HEADS = ("QUEUE", "PAUSED", *(state.upper() for state in STATES))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add_verb(verbs, "ls", "list queues with the number of their jobs", list_queues)
    pausing = add_verb(verbs, "pause", "hand out no more jobs of queues", pause_queues)
    pausing.add_argument("names", nargs="+", metavar="QUEUE")
    resuming = add_verb(verbs, "resume", "hand out jobs of queues again", resume_queues)
    resuming.add_argument("names", nargs="+", metavar="QUEUE")


def list_queues(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each queue that has jobs or is paused."""
    counts, paused = queue.stats()["queues"], set(queue.paused())
    rows = {
        name: {
            "paused": name in paused,
            **{one: counts.get(name, {}).get(one, 0) for one in STATES},
        }
        for name in sorted({*counts, *paused})
    }
    if options.json:
        print_json(rows)
        return DONE
    cells = [
        (name, "yes" if row["paused"] else "", *(str(row[state]) for state in STATES))
        for name, row in rows.items()
    ]
    print_table(HEADS, cells, numbers=HEADS[2:], dispensable=DISPENSABLE)
    return DONE


def pause_queues(queue: Queue, options: argparse.Namespace) -> int:
    """Pause queues; 1 if any was paused already."""
    done = _switched(queue, options.names, "queues pause", queue.pause)
    return _report(options, done, "paused", "was paused already")


def resume_queues(queue: Queue, options: argparse.Namespace) -> int:
    """Resume queues; 1 if any was not paused."""
    done = _switched(queue, options.names, "queues resume", queue.resume)
    return _report(options, done, "resumed", "was not paused")


def _switched(
    queue: Queue, names: Sequence[str], action: str, switch: Callable[[str], bool]
) -> dict[str, bool]:
    done: dict[str, bool] = {}
    try:
        for name in names:
            done[name] = switch(name)
    finally:  # also of those before one that is refused
        note(queue, action, changed_in(done))
    return done


def _report(options: argparse.Namespace, done: dict[str, bool], yes: str, no: str) -> int:
    if options.json:
        print_json(done)
    else:
        print_lines(f"{name} {yes if taken else no}" for name, taken in done.items())
    return DONE if all(done.values()) else NOT_DONE
