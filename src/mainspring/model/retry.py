"""Rules for the next attempt of a job after an error or a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.backoff import backoff_of
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.model.backoff import RetryBackoff

CRASH_DELAYS = (0.0, 5.0)
"""Seconds until a job runs again after its first and second crash; a third fails it."""


def delay_after_crash(crashes: int) -> float | None:
    """Return the seconds until the job may run again, or None when it has crashed too often.

    `crashes` counts this one. The first redelivery is at once, the second waits 5 s; the third
    crash fails the job for good.
    """
    return CRASH_DELAYS[crashes - 1] if crashes <= len(CRASH_DELAYS) else None


Kinds = tuple[type[BaseException], ...]
"""Classes of errors."""


class RetryRules(Value, frozen=True):
    """Errors that are worth another attempt: those of `retry_on` (None: all).

    But for those of `give_up_on`, which wins. `backoffs`: one for each class of `retry_on`, None
    for the task's own; empty if none has its own.
    """

    retry_on: Kinds | None = None
    give_up_on: Kinds = ()
    backoffs: tuple[RetryBackoff | None, ...] = ()

    @property
    def kinds(self) -> Kinds:
        """Every class that they name."""
        return (*(self.retry_on or ()), *self.give_up_on)

    def again(self, error: BaseException) -> bool:
        """Return True if an attempt that raised `error` is worth another."""
        if isinstance(error, self.give_up_on):
            return False
        return self.retry_on is None or isinstance(error, self.retry_on)

    def rule_of(self, error: BaseException) -> int | None:
        """Return the place of the first class of `retry_on` that `error` is of, None if of none."""
        for place, kind in enumerate(self.retry_on or ()):
            if isinstance(error, kind):
                return place
        return None

    def backoff_of(self, rule: int | None) -> RetryBackoff | None:
        """Return the backoff of that place's own, None if it has none."""
        return None if rule is None or not self.backoffs else self.backoffs[rule]


def rules_of(owner: str, retry_on: object, give_up_on: object) -> RetryRules:
    """Return the rules that a task's options say: None, a class or a tuple of classes for each.

    `retry_on` may also map classes to backoffs. Raises InvalidOption.
    """
    given_up = _kinds("give_up_on", owner, give_up_on) if give_up_on is not None else ()
    if isinstance(retry_on, Mapping):
        retried = _kinds("retry_on", owner, tuple(retry_on))
        return RetryRules(retried, given_up, tuple(_backoffs(owner, retry_on)))
    return RetryRules(None if retry_on is None else _kinds("retry_on", owner, retry_on), given_up)


def _backoffs(owner: str, rules: Mapping[Any, object]) -> Iterator[RetryBackoff | None]:
    for kind, backoff in rules.items():
        its = f"{owner}, retry_on={{{kind.__name__}: ...}}"
        yield None if backoff is None else backoff_of(its, backoff, may_be_free=True)


def _kinds(option: str, owner: str, value: object) -> Kinds:
    named: tuple[object, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    kinds = tuple(one for one in named if isinstance(one, type) and issubclass(one, BaseException))
    if len(kinds) < len(named):
        expected = f"exception classes, as in {option}=(OSError, ValueError)"
        raise InvalidOption(option, value, owner=owner, expected=expected)
    return kinds
