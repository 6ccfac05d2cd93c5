"""`mainspring cron`: the durable schedules: list, run now, pause, resume and remove them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mainspring.cli.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.cli.text_table import distance
from mainspring.cli.verbs import add_verb, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

HEADS = ("SCHEDULE", "RULE", "TASK", "QUEUE", "CATCH UP", "LAST TICK", "NEXT TICK")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add_verb(verbs, "ls", "list schedules with their next tick", list_schedules)
    for name, purpose, function in (
        ("run", "enqueue a schedule's job now", run_schedule),
        ("pause", "let a schedule tick no more", pause_schedule),
        ("resume", "let a schedule tick again, from now on", resume_schedule),
        ("rm", "remove a schedule that no code declares any more", remove_schedule),
    ):
        verb = add_verb(verbs, name, purpose, function)
        verb.add_argument("name", metavar="SCHEDULE")


def list_schedules(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each schedule."""
    schedules = queue.schedules()
    if options.json:
        print_json([one.fields() for one in schedules])
        return DONE
    now = datetime.now(UTC)
    rows = [
        (
            one.name,
            str(one.rule),
            one.task,
            one.queue,
            one.catch_up,
            distance(one.last_tick, now),
            "paused" if one.paused else distance(one.next_tick, now),
        )
        for one in schedules
    ]
    print_table(HEADS, rows)
    return DONE


def run_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Enqueue its job; its ticks stay as they are."""
    schedule = queue.get_schedule(options.name)
    if schedule is None:
        return _unknown(options)
    job = schedule.trigger()
    print_json({"id": job.id}) if options.json else print_lines([f"{job.id} {job.task} enqueued"])
    return DONE


def pause_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Pause it; 1 if it was paused already or is unknown."""
    return _switch(queue, options, lambda name: queue.pause_schedule(name), "paused")


def resume_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Resume it; 1 if it was not paused or is unknown."""
    return _switch(queue, options, lambda name: queue.resume_schedule(name), "goes on")


def remove_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Remove it; 1 if it is unknown."""
    return _switch(queue, options, lambda name: queue.forget_schedule(name), "removed")


def _switch(
    queue: Queue, options: argparse.Namespace, switch: Callable[[str], bool], done: str
) -> int:
    if queue.get_schedule(options.name) is None:
        return _unknown(options)
    changed = switch(options.name)
    if options.json:
        print_json({options.name: changed})
    else:
        print_lines([f"{options.name} {done if changed else f'{done} already'}"])
    return DONE if changed else NOT_DONE


def _unknown(options: argparse.Namespace) -> int:
    if options.json:
        print_json({options.name: None})
    else:
        print_lines([f"there is no schedule {options.name!r}; see mainspring cron ls"])
    return NOT_DONE
