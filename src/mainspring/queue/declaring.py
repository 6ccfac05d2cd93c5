"""Declarations of schedules by `@queue.cron` and `@queue.every`, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

from mainspring.clock import utc_now
from mainspring.errors import InvalidArguments, InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.options import NAME, one_of, refuse_unknown
from mainspring.model.schedule import Cron
from mainspring.model.timetable import CatchUp, NewSchedule, RuleText
from mainspring.queue.options import RUN_OPTIONS
from mainspring.queue.queue_task import QueueTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from mainspring.queue.options import ScheduleDecorator

LEAST_SECONDS = 0.1
"""A shorter interval would keep the store busy with ticks and nothing else."""

_NAME = NAME.or_none()
_CATCH_UP = one_of(*get_args(CatchUp))
OF_JOBS = ("tags", "metadata")
"""Options that a task has not, and its jobs have."""

SCHEDULE_OPTIONS = ("name", "catch_up", "args", "kwargs", *RUN_OPTIONS, *OF_JOBS)


@dataclass(frozen=True, slots=True)
class Declaration:
    """Arguments of a schedule's decorator, before its task is known."""

    rule: RuleText
    name: str | None
    catch_up: CatchUp
    args: object
    kwargs: object
    options: Mapping[str, Any]

    def decorator(
        self,
        register: Callable[..., Any],
        add: Callable[[NewSchedule, Callable[..., Any]], None],
    ) -> ScheduleDecorator:
        """Return what registers a function, unless it is a task already, and adds the schedule."""
        refuse_unknown(_owner(self.name), self.options, SCHEDULE_OPTIONS)
        self.check()

        def declare(function: Any) -> Any:
            task = self._task(function, register)
            of_jobs = {name: self.options[name] for name in OF_JOBS if name in self.options}
            add(self.schedule_of(task.using(**of_jobs)), task.task.function)
            return task

        return declare

    def check(self) -> None:
        """Raise InvalidOption for what holds whatever the task is."""
        _NAME("a schedule", "name", self.name)
        _CATCH_UP(_owner(self.name), "catch_up", self.catch_up)

    def _task(self, function: Any, register: Callable[..., Any]) -> QueueTask[..., Any, Any]:
        options = {name: one for name, one in self.options.items() if name not in OF_JOBS}
        if not isinstance(function, QueueTask):
            # Inside another function its name may stand for nothing; the schedule's stands for it.
            nested = "<" in getattr(function, "__qualname__", "")
            found: QueueTask[..., Any, Any] = register(
                name=self.name if nested else None, **options
            )(function)
            return found
        for option, value in options.items():
            owner = f"a schedule of task {function.name!r}"
            why, remedy = "is an option of the task", "give it to @queue.task instead"
            raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)
        return function

    def schedule_of(self, task: QueueTask[..., Any, Any]) -> NewSchedule:
        """Return the schedule of a task's jobs; raises InvalidOption, InvalidArguments."""
        name = task.name if self.name is None else self.name
        _refuse_per_job_options(_owner(name), task)
        args, kwargs = self._arguments(_owner(name))
        return NewSchedule(
            name,
            self.rule,
            task.name,
            task.task.queue,
            task.payload(args, kwargs),
            task.task.priority,
            self.catch_up,
            task.unique_key(args, kwargs),
            task.enqueue_options.expires,
            options=task.enqueue_options.own,
        )

    def _arguments(self, owner: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = self.args, self.kwargs
        if isinstance(args, (tuple, list)) and isinstance(kwargs, Mapping):
            return tuple(args), dict(kwargs)
        raise InvalidArguments(f"{owner}: give args=(...) as a tuple and kwargs={{...}} as a dict")


def cron_rule(name: str | None, expression: str, tz: str | ZoneInfo) -> RuleText:
    """Return a cron rule as it is stored; raises InvalidOption."""
    zone: object = tz.key if isinstance(tz, ZoneInfo) else tz
    if not isinstance(zone, str) or not zone:
        expected = "a time zone's name such as 'Europe/Prague', or a ZoneInfo with one"
        raise InvalidOption("tz", tz, owner=_owner(name), expected=expected)
    try:
        first = Cron(expression, zone).next_after(utc_now())
    except InvalidOption as error:
        value = tz if error.option == "tz" else expression
        raise InvalidOption(
            error.option, value, owner=_owner(name), expected=error.expected
        ) from None
    if first is None:
        expected = "one that comes within 50 years"
        raise InvalidOption("cron", expression, owner=_owner(name), expected=expected)
    return RuleText(cron=expression, tz=zone)


def interval_rule(
    name: str | None, seconds: float | timedelta, *, option: str = "seconds"
) -> RuleText:
    """Return an interval as it is stored; raises InvalidOption, which names the `option`."""
    every = seconds_of(_owner(name), option, seconds, positive=True)
    if every < LEAST_SECONDS:
        expected = f"at least {LEAST_SECONDS:g} s"
        raise InvalidOption(option, seconds, owner=_owner(name), expected=expected)
    return RuleText(every=every)


def _owner(name: str | None) -> str:
    return "a schedule" if name is None else f"schedule {name!r}"


def _refuse_per_job_options(owner: str, task: QueueTask[..., Any, Any]) -> None:
    """Refuse what a schedule has no place for, rather than let it do nothing."""
    options = task.enqueue_options
    given = {
        "delay": options.delay or None,
        "run_at": options.run_at,
        "idempotency_key": options.idempotency_key,
        "conn": task.connection,
    }
    for option, value in given.items():
        if value is not None:
            why = "is not possible for the jobs of a schedule"
            remedy = f"schedule a task without {option}"
            raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)
