"""Jobs that a command is about: by their ids, or all that a filter leaves, with a count first."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.cli.text.arguments import moment_in
from mainspring.cli.text.printed import print_json, print_lines
from mainspring.errors import InvalidOption, UsageError
from mainspring.model.counted import counted
from mainspring.model.job import JobState
from mainspring.model.value import Value

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.queue import Queue

STATES = [state.value for state in JobState]
FIELDS = ("queue", "task", "tag", "search", "error")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)


class Choice(Value, frozen=True):
    """The states of jobs that a verb is for, and those that it takes where none is named."""

    verb: str
    states: tuple[JobState, ...]
    usual: tuple[JobState, ...]


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Add the options that narrow a list of jobs."""
    parser.add_argument("--queue", metavar="NAME", help="of this queue only")
    parser.add_argument("--task", metavar="NAME", help="of this task only")
    parser.add_argument("--tag", metavar="TAG", help="that bear this tag")
    parser.add_argument("--search", metavar="TEXT", help="in id, task, arguments or error")
    parser.add_argument("--error", metavar="TEXT", help="in the type or message of the last error")
    when = "ended, or made if they have not: 90m, 2d, or a time as in 2030-01-31T08:00+01:00"
    parser.add_argument("--since", metavar="TIME", help=when)
    parser.add_argument("--until", metavar="TIME", help="the same, for the end")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add ids, and the options that choose jobs instead."""
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--status", choices=STATES, help="all of this state that fit")
    add_filter(parser)
    parser.add_argument("--count", action="store_true", help="say how many fit, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def filter_in(options: argparse.Namespace) -> dict[str, Any]:
    """Return what narrows the list, as `Queue.jobs` takes it. Raises `InvalidOption`."""
    chosen: dict[str, Any] = {name: getattr(options, name) for name in FIELDS}
    for name in ("since", "until"):
        said = getattr(options, name)
        chosen[name] = None if said is None else _when(f"--{name}", said)
    return chosen


def said_in(options: argparse.Namespace) -> dict[str, str | None]:
    """Return the filter as it was typed, for the audit log; nothing if ids were named."""
    names = () if options.ids else ("status", *FIELDS, "since", "until")
    return {name: getattr(options, name) for name in names}


def chosen_ids(queue: Queue, options: argparse.Namespace, choice: Choice) -> list[str] | None:
    """Return the ids that are named, or those of all jobs that fit, after a question.

    None: they were counted only, or the answer was no. Raises `UsageError` for neither and both.
    """
    verb, states = choice.verb, choice.states
    narrowed = {name: value for name, value in filter_in(options).items() if value is not None}
    if bool(options.ids) is bool(narrowed or options.status):
        raise UsageError(
            f"jobs {verb}: it is not clear which jobs are meant; name their ids, or give a filter "
            "(--status, --queue, --task, --tag, --search, --error, --since, --until)"
        )
    if options.ids:
        return None if _counted_only(queue, options, states) else list(options.ids)
    if options.status is not None and options.status not in states:
        known = " or ".join(states)
        raise UsageError(
            f"jobs {verb}: that is for {known} jobs, and not for {options.status} ones"
        )
    wanted = [options.status] if options.status else choice.usual
    if not wanted:
        raise UsageError(f"jobs {verb}: say by --status of which state: {', '.join(states)}")
    ids = [job.id for state in wanted for job in queue.find_jobs(status=state, **narrowed)]
    return ids if _agreed(options, verb, len(ids)) else None


def _counted_only(queue: Queue, options: argparse.Namespace, states: Sequence[JobState]) -> bool:
    """Say how many of the jobs that are named fit, if that was asked for."""
    if options.count:
        jobs = [queue.get_job(one) for one in dict.fromkeys(options.ids)]
        _say_count(options, sum(job is not None and job.status in states for job in jobs))
    return bool(options.count)


def _agreed(options: argparse.Namespace, verb: str, count: int) -> bool:
    if options.yes and not options.count:
        return True
    if options.count or not count:
        _say_count(options, count)
        return False
    if not sys.stdin.isatty():
        raise UsageError(f"jobs {verb}: {_fit(count)}, and nothing was done; give --yes to do it")
    # Not on standard output, which may be on its way to a file or a program.
    sys.stderr.write(f"{_fit(count)}; {verb} them? [y/N]\n")
    sys.stderr.flush()
    agreed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if options.json and not agreed:
        print_json({})
    return agreed


def _say_count(options: argparse.Namespace, count: int) -> None:
    if options.json:
        print_json({"count": count})
    else:
        print_lines([_fit(count)])


def _fit(count: int) -> str:
    return counted(count, "job fits", "jobs fit")


def _when(option: str, said: str) -> datetime | timedelta:
    ago = _AGO.fullmatch(said)
    if ago is None:
        return moment_in(option, said)
    try:
        return timedelta(**{UNITS[ago[2]]: float(ago[1])})
    except OverflowError:
        expected = "so long ago as there are dates"
        raise InvalidOption(option, said, owner="the command", expected=expected) from None
