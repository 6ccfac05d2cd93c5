"""The options that a job has of its own, beside those of its task, and their text in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, json

from mainspring.errors import InvalidOption
from mainspring.model.backoff import DelayTable, Exponential, Fixed, backoff_of
from mainspring.model.options import count
from mainspring.model.record import Undecodable
from mainspring.model.task import CHECKS as OF_TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.model.backoff import RetryBackoff
    from mainspring.model.task import Task

MOST_RETRIES = 2**31 - 1

CHECKS = {
    "retries": count(least=0, most=MOST_RETRIES),
    "timeout": OF_TASKS["timeout"],
    "keep_result": OF_TASKS["keep_result"],
}


class JobOptions(Struct, frozen=True, omit_defaults=True):
    """Options of one job that take the place of its task's; None: it has none of its own.

    `backoff` is a number of seconds, a list of them, or an Exponential.
    """

    retries: int | None = None
    timeout: float | None = None
    keep_result: float | None = None
    backoff: float | tuple[float, ...] | Exponential | None = None

    def __post_init__(self) -> None:
        # Also of what a store holds, which somebody else may have written.
        for option, check in CHECKS.items():
            if (value := getattr(self, option)) is not None:
                check("a job", option, value)
        if self.backoff is not None:
            self.backoff_rule("a job")

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return self != NO_OWN_OPTIONS

    def backoff_rule(self, owner: str) -> RetryBackoff | None:
        """Return the backoff as a task has it; raises InvalidOption."""
        stored = self.backoff
        if isinstance(stored, (int, float)):
            return Fixed(stored)
        return None if stored is None else backoff_of(owner, stored)

    def over(self, task: Task) -> Task:
        """Return the task with these options in the place of its own."""
        own: dict[str, Any] = {option: getattr(self, option) for option in CHECKS}
        own["backoff"] = self.backoff_rule(f"task {task.name!r}")
        return task.with_options(**{name: one for name, one in own.items() if one is not None})


NO_OWN_OPTIONS = JobOptions()
OWN_OPTIONS = JobOptions.__struct_fields__

encode_options = json.Encoder().encode
_decode = json.Decoder(JobOptions).decode


def own_options(owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a call as they are kept; raises InvalidOption."""
    return {
        option: _stored_backoff(owner, value)
        if option == "backoff"
        else CHECKS[option](owner, option, value)
        for option, value in given.items()
    }


def read_options(stored: bytes) -> JobOptions:
    """Return options that a store holds; raises Undecodable."""
    try:
        return _decode(stored)
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"the stored options of the job can't be read: {error}") from error


def task_with(task: Task, stored: bytes | None) -> Task:
    """Return the task as a job with these options has it; as it is, if they can't be read.

    The attempt of such a job fails before its body begins.
    """
    if stored is None:
        return task
    try:
        return read_options(stored).over(task)
    except Undecodable:
        return task


def _stored_backoff(owner: str, value: object) -> float | tuple[float, ...] | Exponential:
    rule = backoff_of(owner, value)
    if isinstance(rule, Fixed):
        return rule.delay(1)
    if isinstance(rule, DelayTable):
        return rule.delays
    if isinstance(rule, Exponential):
        return rule
    why = "is a function, which can't be kept with a job"
    remedy = "give it to the task, or give Exponential(...), Fixed(seconds) or a list here"
    raise InvalidOption("backoff", value, owner=owner, why=why, remedy=remedy)
