"""Schedules made and changed at run time: what is to be kept, from what the caller says.

An option that is not given stays; None gives it back to its default, as if it had never been given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.errors import InvalidOption
from mainspring.model.job_options import OWN_OPTIONS
from mainspring.model.options import refuse_unknown
from mainspring.model.unique import rule_of_key
from mainspring.queue.by_name import task_named
from mainspring.queue.declaring import Declaration, cron_rule, interval_rule
from mainspring.queue.queue_task import QueueTask

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mainspring.model.timetable import NewSchedule, RuleText
    from mainspring.queue.binding import Binding

KEPT = ("queue", "priority", "expires")
OF_JOBS = (*KEPT, "unique", *OWN_OPTIONS)
"""Options of the jobs, as `using` takes them."""

OPTIONS = ("cron", "every", "tz", "task", "args", "kwargs", "catch_up", *OF_JOBS)


def added(binding: Binding, name: str, task: object, given: Mapping[str, Any]) -> NewSchedule:
    """Return a schedule of that name; raises InvalidOption, InvalidArguments, UnknownOption."""
    owner = f"schedule {name!r}"
    refuse_unknown(owner, given, OPTIONS)
    said = {option: value for option, value in given.items() if value is not None}
    declaration = Declaration(
        rule_of(name, said),
        name,
        said.get("catch_up", "one"),
        said.get("args", ()),
        said.get("kwargs", {}),
        {},
    )
    declaration.check()
    of_jobs = {option: said[option] for option in OF_JOBS if option in said}
    return replace(declaration.schedule_of(task_of(binding, task, owner, of_jobs)), added=True)


def changed(binding: Binding, known: NewSchedule, given: Mapping[str, Any]) -> NewSchedule:
    """Return a schedule as it is to be from now on; raises as `added` does."""
    owner = f"schedule {known.name!r}"
    refuse_unknown(owner, given, OPTIONS)
    if not given:
        expected = f"what is to change: {', '.join(OPTIONS)}"
        raise InvalidOption("options", "none", owner=owner, expected=expected)
    task = given.get("task", known.task)
    args, kwargs = binding.codec.decode_call(known.payload, known.task)
    call = {"args": args, "kwargs": kwargs, "catch_up": known.catch_up}
    new = added(binding, known.name, task, {**call, **rule_options(known.rule, given), **given})
    said = {*given, *_options_of(binding, task)}
    kept: dict[str, Any] = {option: getattr(known, option) for option in KEPT if option not in said}
    own = {option: getattr(new.options, option) for option in OWN_OPTIONS if option in said}
    kept["options"] = replace(known.options, **own)
    if "unique" not in said and not (known.unique is None and "task" in given):
        moved = bool({"args", "kwargs", "task"} & given.keys())
        kept["unique"] = _moved_key(binding, known, new) if moved else known.unique
    return replace(new, **kept)


def rule_of(name: str, said: Mapping[str, Any]) -> RuleText:
    """Return the rule that options say; raises InvalidOption."""
    owner, cron, every = f"schedule {name!r}", said.get("cron"), said.get("every")
    if cron is not None and every is not None:
        why, remedy = "can't be combined with cron", "give only one of them"
        raise InvalidOption("every", every, owner=owner, why=why, remedy=remedy)
    if cron is not None:
        return cron_rule(name, cron, said.get("tz", "UTC"))
    if every is None:
        expected = "a cron expression, or give every= so many seconds"
        raise InvalidOption("cron", None, owner=owner, expected=expected)
    if "tz" in said:
        why, remedy = "has no effect without cron", "give cron=, too, or leave tz out"
        raise InvalidOption("tz", said["tz"], owner=owner, why=why, remedy=remedy)
    return interval_rule(name, every, option="every")


def rule_options(rule: RuleText, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kept rule as options, as much of it as stays beside what is given."""
    if given.get("every") is not None:
        return {}
    if rule.every is None:
        return {"cron": rule.cron, "tz": rule.tz}
    return {} if given.get("cron") is not None else {"every": rule.every}


def task_of(
    binding: Binding, task: object, owner: str, options: Mapping[str, Any]
) -> QueueTask[..., Any, Any]:
    """Return the task of the jobs, with their options; raises InvalidOption."""
    found = task if isinstance(task, QueueTask) else task_named(binding, task, owner)
    return found.using(**options) if options else found


def _options_of(binding: Binding, task: object) -> Collection[str]:
    """Return the options that `using` gave a task, by name."""
    if not isinstance(task, QueueTask):
        return ()
    plain = task_named(binding, task.name, f"task {task.name!r}")
    ours, theirs = plain.enqueue_options, task.enqueue_options
    pairs = {
        "queue": (plain.task.queue, task.task.queue),
        "priority": (plain.task.priority, task.task.priority),
        "expires": (ours.expires, theirs.expires),
        "unique": (ours.unique, theirs.unique),
    }
    return {*theirs.own.given(), *(name for name, (one, other) in pairs.items() if one != other)}


def _moved_key(binding: Binding, known: NewSchedule, new: NewSchedule) -> str | None:
    """Return the unique key of a schedule that has another task or other arguments."""
    rule = None if known.unique is None else rule_of_key(known.unique)
    if rule is None:
        return known.unique
    task = task_named(binding, new.task, f"schedule {known.name!r}").using(unique=rule)
    return task.unique_key(*binding.codec.decode_call(new.payload, new.task))
