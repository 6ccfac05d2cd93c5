"""Schedules made and changed at run time: what is to be kept, from what the caller says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.errors import InvalidOption
from mainspring.model.options import refuse_unknown
from mainspring.queue.by_name import task_named
from mainspring.queue.declaring import Declaration, cron_rule, interval_rule
from mainspring.queue.queue_task import QueueTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.model.timetable import NewSchedule, RuleText
    from mainspring.queue.binding import Binding

OF_JOBS = ("queue", "priority", "unique", "expires")
"""Options of the jobs, as `using` takes them."""

OPTIONS = ("cron", "every", "tz", "task", "args", "kwargs", "catch_up", *OF_JOBS)


def added(binding: Binding, name: str, task: object, given: Mapping[str, Any]) -> NewSchedule:
    """Return a schedule of that name; raises InvalidOption, InvalidArguments, UnknownOption."""
    owner = f"schedule {name!r}"
    refuse_unknown(owner, given, OPTIONS)
    rule = rule_of(name, given)
    if rule is None:
        expected = "a cron expression, or give every= so many seconds"
        raise InvalidOption("cron", None, owner=owner, expected=expected)
    args, kwargs = given.get("args", ()), given.get("kwargs") or {}
    declaration = Declaration(rule, name, given.get("catch_up", "one"), args, kwargs, {})
    declaration.check()
    of_jobs = {option: given[option] for option in OF_JOBS if option in given}
    return replace(declaration.schedule_of(task_of(binding, task, owner, of_jobs)), added=True)


def changed(binding: Binding, known: NewSchedule, given: Mapping[str, Any]) -> NewSchedule:
    """Return a schedule as it is to be from now on; raises as `added` does."""
    owner = f"schedule {known.name!r}"
    refuse_unknown(owner, given, OPTIONS)
    if not given:
        expected = f"what is to change: {', '.join(OPTIONS)}"
        raise InvalidOption("options", "none", owner=owner, expected=expected)
    moved = bool({"args", "kwargs", "task"} & set(given))
    task = task_of(binding, given.get("task", known.task), owner, {"queue": known.queue})
    args, kwargs = binding.codec.decode_call(known.payload, known.task)
    rule = rule_of(known.name, given, known.rule) or known.rule
    declaration = Declaration(
        rule,
        known.name,
        given.get("catch_up", known.catch_up),
        given.get("args", args),
        given.get("kwargs", kwargs),
        {},
    )
    declaration.check()
    of_jobs = {option: given[option] for option in OF_JOBS if given.get(option) is not None}
    new = declaration.schedule_of(task.using(**of_jobs))
    kept: dict[str, Any] = {
        option: getattr(known, option) for option in ("priority", "expires") if option not in given
    }
    if "unique" not in given and not (moved and task.enqueue_options.unique is not None):
        kept["unique"] = known.unique
        if moved and known.unique is not None:
            why, remedy = "was made for other arguments", "give unique= again, too"
            raise InvalidOption("unique", known.unique, owner=owner, why=why, remedy=remedy)
    return replace(new, added=True, **kept)


def rule_of(name: str, given: Mapping[str, Any], known: RuleText | None = None) -> RuleText | None:
    """Return the rule that was given, None if none was; raises InvalidOption."""
    cron, every = given.get("cron"), given.get("every")
    if cron is not None and every is not None:
        why, remedy = "can't be combined with cron", "give only one of them"
        raise InvalidOption("every", every, owner=f"schedule {name!r}", why=why, remedy=remedy)
    if cron is None and every is None and known is not None and "tz" in given:
        cron = known.cron
    if cron is not None:
        return cron_rule(name, cron, given.get("tz", "UTC" if known is None else known.tz))
    if "tz" in given:
        why, remedy = "has no effect without cron", "give cron=, too, or leave tz out"
        raise InvalidOption("tz", given["tz"], owner=f"schedule {name!r}", why=why, remedy=remedy)
    return None if every is None else interval_rule(name, every, option="every")


def task_of(
    binding: Binding, task: object, owner: str, options: Mapping[str, Any]
) -> QueueTask[..., Any, Any]:
    """Return the task of the jobs, with their options; raises InvalidOption."""
    found = task if isinstance(task, QueueTask) else task_named(binding, task, owner)
    return found.using(**options) if options else found
