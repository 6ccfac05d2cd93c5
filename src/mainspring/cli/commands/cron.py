"""`mainspring cron`: the durable schedules: list, add, change, run, pause, resume, remove them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.audit import note
from mainspring.cli.app_loader.verbs import add_verb, run
from mainspring.cli.text.arguments import arguments_in
from mainspring.cli.text.job_options import JOB_OPTIONS, add_job_options, job_options_in
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.errors import InvalidOption, ScheduleUnreadable
from mainspring.model.duration import distance
from mainspring.model.timetable import CATCH_UPS
from mainspring.queue.schedule_handle import ScheduleHandle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

DISPENSABLE = ("CATCH UP", "OF JOBS", "QUEUE", "LAST TICK", "TASK", "RULE")
log = logging.getLogger("mainspring.queue")

HEADS = ("SCHEDULE", "RULE", "TASK", "QUEUE", "OF JOBS", "CATCH UP", "LAST TICK", "NEXT TICK")
UNSETTABLE = ("args", "kwargs", "tz", "catch_up", "backoff", *JOB_OPTIONS)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add_verb(verbs, "ls", "list schedules with their next tick", list_schedules)
    adding = add_verb(verbs, "add", "add a schedule of a task", add_schedule)
    adding.add_argument("name", metavar="SCHEDULE")
    adding.add_argument("task", metavar="TASK", help="its name; with --app the last part will do")
    _add_rule(adding, required=True)
    adding.add_argument("--replace", action="store_true", help="one that is there")
    purpose = "change one that was added; the rest stays"
    changing = add_verb(verbs, "change", purpose, change_schedule)
    changing.add_argument("name", metavar="SCHEDULE")
    changing.add_argument("--task", metavar="TASK", help="with --app the last part will do")
    _add_rule(changing, required=False)
    changing.add_argument(
        "--unset",
        action="append",
        type=lambda text: text.replace("-", "_"),
        choices=UNSETTABLE,
        default=[],
        metavar="OPTION",
        help=f"back to its default, several times: {', '.join(UNSETTABLE)}",
    )
    for name, purpose, function in (
        ("run", "enqueue a schedule's job now", run_schedule),
        ("pause", "let a schedule tick no more", pause_schedule),
        ("resume", "let a schedule tick again, from now on", resume_schedule),
        ("rm", "remove one that was added, or that no code declares any more", remove_schedule),
    ):
        verb = add_verb(verbs, name, purpose, function)
        verb.add_argument("name", metavar="SCHEDULE")


def _add_rule(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options of a schedule's rule and of its jobs."""
    rule = parser.add_mutually_exclusive_group(required=required)
    rule.add_argument("--cron", metavar="EXPRESSION", help="as in '0 3 * * *'")
    rule.add_argument("--every", type=float, metavar="SECONDS")
    parser.add_argument("--tz", metavar="ZONE", help="of --cron (default: UTC)")
    parser.add_argument("--args", metavar="JSON", help="as in '[1, \"two\"]'")
    parser.add_argument("--kwargs", metavar="JSON", help="as in '{\"name\": 1}'")
    parser.add_argument("--catch-up", choices=CATCH_UPS, help="of missed ticks (default: one)")
    add_job_options(parser)


def list_schedules(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each schedule."""
    rows = [_fields(schedule) for schedule in queue.schedules.list()]
    if options.json:
        print_json(rows)
        return DONE
    now = datetime.now(UTC)
    table = [HEADS, *(_cells(row, now) for row in rows)]
    if not any(map(_of_jobs, rows)):
        place = HEADS.index("OF JOBS")
        table = [(*line[:place], *line[place + 1 :]) for line in table]
    print_table(table[0], table[1:], dispensable=DISPENSABLE)
    print_lines(f"{row['name']}: {row['trouble']}" for row in rows if row["trouble"])
    return DONE


def add_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Add it for each worker that knows the task."""
    whole = _whole_name(queue, options.task)
    added = queue.schedules.add(options.name, whole, replace=options.replace, **_given(options))
    note(queue, "cron add", [added.name], _details(added))
    return _report(options, added, "added")


def change_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Change what is given of it, and keep the rest; 1 if it is unknown."""
    given = _given(options)
    if options.task is not None:
        given["task"] = _whole_name(queue, options.task)
    if both := [name for name in options.unset if name in given]:
        why, remedy = f"is given with --{both[0]}, too", "leave one of them out"
        raise InvalidOption("--unset", both[0], owner="the command", why=why, remedy=remedy)
    given |= dict.fromkeys(options.unset)
    try:
        changed = queue.schedules.change(options.name, **given)
    except KeyError:
        return _unknown(options)
    note(queue, "cron change", [changed.name], _details(changed))
    return _report(options, changed, "changed")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of a schedule, and nothing of what it leaves out."""
    args, kwargs = arguments_in(options)
    said = {name: getattr(options, name) for name in ("cron", "every", "tz", "catch_up")}
    said |= {"args": options.args and args, "kwargs": options.kwargs and kwargs}
    said |= job_options_in(options)
    return {name: value for name, value in said.items() if value is not None}


def _whole_name(queue: Queue, task: str) -> str:
    ends = [one.name for one in queue.tasks if one.name.endswith(f".{task}")]
    return ends[0] if len(ends) == 1 and queue.get_task(task) is None else task


def _details(schedule: ScheduleHandle) -> dict[str, str]:
    return {"task": schedule.task, "rule": schedule.rule}


def _report(options: argparse.Namespace, new: ScheduleHandle, done: str) -> int:
    if options.json:
        print_json(_fields(new))
    else:
        print_lines([f"{new.name} {done}: {new.rule}, {new.task}"])
    return DONE


def run_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Enqueue its job; its ticks stay as they are."""
    schedule = queue.schedules.get(options.name)
    if schedule is None:
        return _unknown(options)
    job = schedule.trigger()
    note(queue, "cron run", [schedule.name], {"job": job.id})
    if options.json:
        print_json({"id": job.id})
    else:
        print_lines([f"{job.id} {job.task} enqueued"])
    return DONE


def pause_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Pause it; 1 if it was paused already or is unknown."""
    return _switch(queue, options, "pause", ScheduleHandle.pause, "paused", "was paused already")


def resume_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Resume it; 1 if it was not paused or is unknown."""
    return _switch(queue, options, "resume", ScheduleHandle.resume, "resumed", "was not paused")


def remove_schedule(queue: Queue, options: argparse.Namespace) -> int:
    """Remove it; 1 if it is unknown. Workers that declare it are named, and so is this code."""
    live = [node for node in queue.nodes() if node.live and options.name in node.serves.schedules]
    if live:
        log.warning(
            "%s is declared by the code of %s: it ticks no more there, and comes back when a "
            "worker with that code starts; take it out of the code, or pause it",
            options.name,
            ", ".join(node.name for node in live),
        )
    elif options.name in {new.name for new in queue.schedules.declared}:
        log.warning(
            "%s is declared by the code of --app: it comes back when a worker with that code "
            "starts; take it out of the code, or pause it",
            options.name,
        )
    return _switch(
        queue, options, "rm", ScheduleHandle.forget, "removed", "is declared, but not kept"
    )


def _switch(  # noqa: PLR0913, PLR0917  # the words of the answer
    queue: Queue,
    options: argparse.Namespace,
    action: str,
    switch: Callable[[ScheduleHandle], bool],
    yes: str,
    no: str,
) -> int:
    schedule = queue.schedules.get(options.name)
    if schedule is None:
        return _unknown(options)
    changed = switch(schedule)
    note(queue, f"cron {action}", [schedule.name] if changed else [])
    if options.json:
        print_json({options.name: changed})
    else:
        print_lines([f"{options.name} {yes if changed else no}"])
    return DONE if changed else NOT_DONE


def _unknown(options: argparse.Namespace) -> int:
    if options.json:
        print_json({options.name: None})
    else:
        print_lines([f"there is no schedule {options.name!r}; see mainspring cron ls"])
    return NOT_DONE


def _fields(schedule: ScheduleHandle) -> dict[str, Any]:
    ticks, trouble = _next_ticks(schedule)
    return {
        "name": schedule.name,
        "rule": schedule.rule,
        "task": schedule.task,
        "queue": schedule.queue,
        "priority": schedule.priority,
        "tags": schedule.tags,
        "metadata": schedule.metadata,
        "options": schedule.options,
        "catch_up": schedule.catch_up,
        "added": schedule.added,
        "kept": schedule.kept,
        "paused": schedule.paused,
        "last_tick": schedule.last_tick,
        "next_ticks": ticks,
        "trouble": trouble,
    }


def _of_jobs(row: dict[str, Any]) -> str:
    """Return what its jobs have of their own, as one line."""
    given = {"priority": row["priority"] or None, **row["options"]}
    given |= {"tags": " ".join(row["tags"]), "metadata": row["metadata"]}
    return ", ".join(
        f"{name} {value}" for name, value in given.items() if value not in (None, "", {})
    )


def _next_ticks(schedule: ScheduleHandle) -> tuple[list[datetime], str | None]:
    """Return the next ticks, and why there are none of a schedule that can't be read."""
    try:
        return schedule.next(5) if schedule.kept and not schedule.paused else [], None
    except (InvalidOption, ScheduleUnreadable) as error:
        return [], str(error)


def _cells(row: dict[str, Any], now: datetime) -> tuple[str, ...]:
    following = distance(next(iter(row["next_ticks"]), None), now)
    if row["paused"] or row["trouble"]:
        following = "paused" if row["paused"] else "unreadable"
    elif not row["kept"]:
        following = "when a worker starts"
    return (
        row["name"],
        row["rule"],
        row["task"],
        row["queue"],
        _of_jobs(row),
        row["catch_up"],
        distance(row["last_tick"], now) or "never",
        following,
    )
