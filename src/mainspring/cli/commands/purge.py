"""`mainspring purge`: remove jobs that have ended, by what and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.app_loader.audit import note
from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines
from mainspring.model.job import FINAL, JobState

if TYPE_CHECKING:
    import argparse

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument(
        "--status",
        choices=sorted(state.value for state in FINAL),
        default=JobState.COMPLETED.value,
        help="of the jobs to remove (default: completed)",
    )
    parser.add_argument(
        "--older-than", type=float, default=0.0, metavar="SECONDS", help="since their end"
    )
    parser.add_argument("--queue", metavar="NAME", help="of this queue only")
    parser.add_argument("--task", metavar="NAME", help="of this task only")
    parser.set_defaults(verb=purge)


def purge(queue: Queue, options: argparse.Namespace) -> int:
    """Remove jobs and say how many."""
    dropped = queue.purge(
        status=options.status,
        queue=options.queue,
        task=options.task,
        older_than=options.older_than,
    )
    chosen = {
        "status": options.status,
        "older_than": options.older_than or None,
        "queue": options.queue,
        "task": options.task,
    }
    note(queue, "purge", [], chosen, count=dropped)
    if options.json:
        print_json({"removed": dropped})
    else:
        print_lines([f"{dropped:,} {options.status} jobs removed"])
    return DONE
