"""Backoff: the seconds between a failed attempt and the next, by the number of the attempt."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol, Union

from mainspring.errors import InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.options import FLAG, SECONDS, check_fields, number
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

_NUMBER = number(least=0, expected="a number from 0 to 1e10")
_CHECKS = {"base": _NUMBER, "factor": _NUMBER, "cap": _NUMBER, "jitter": FLAG}

EXPECTED = (
    "Exponential(...), Fixed(seconds), a list of seconds, one for each retry, or a function of the "
    "attempt's number that returns seconds"
)


class RetryBackoff(Protocol):
    """The rule of a task's retries."""

    def delay(self, attempt: int, *, chance: float | None = None) -> float:
        """Return the seconds after the failed attempt number `attempt` (from 1).

        `chance` in 0..1 stands in for the random number, where there is one.
        """
        ...


class Exponential(Value, frozen=True):
    """Backoff with full jitter: a random delay up to `base * factor ** (attempt - 1)`, capped.

    Seconds. `jitter=False`: that delay itself, which many jobs that failed together then share.
    Source of the rule: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
    Raises InvalidOption.
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    jitter: bool = True

    def __post_init__(self) -> None:
        # Checked here: when a job fails, only its worker would see the error.
        check_fields("Exponential", _CHECKS, self)

    def delay(self, attempt: int, *, chance: float | None = None) -> float:
        """Return the delay after the failed attempt number `attempt` (from 1).

        `chance` in 0..1 stands in for the random number.
        """
        try:
            ceiling = min(self.cap, self.base * float(self.factor) ** (attempt - 1))
        except OverflowError:
            ceiling = self.cap
        if not self.jitter:
            return ceiling
        return ceiling * (random.random() if chance is None else chance)


class Fixed(Value, frozen=True):
    """Backoff of always the same time: seconds, or a timedelta. Raises InvalidOption."""

    seconds: float | timedelta

    def __post_init__(self) -> None:
        SECONDS("Fixed", "seconds", self.seconds)

    def delay(self, attempt: int, *, chance: float | None = None) -> float:  # noqa: ARG002  # the protocol's
        """Return the seconds, whichever attempt it was."""
        return seconds_of("Fixed", "seconds", self.seconds)


class DelayTable(Value, frozen=True):
    """Backoff by a list: a delay for each retry, the last one for all that follow."""

    delays: tuple[float, ...]

    def delay(self, attempt: int, *, chance: float | None = None) -> float:  # noqa: ARG002  # as above
        """Return the delay after the failed attempt number `attempt`."""
        return self.delays[min(attempt, len(self.delays)) - 1]


class ComputedBackoff(Value, frozen=True):
    """Backoff by a function of the user's."""

    function: Callable[[int], float | timedelta]

    def delay(self, attempt: int, *, chance: float | None = None) -> float:  # noqa: ARG002  # as above
        """Return what the function says; raises what it raises, or InvalidOption."""
        return seconds_of("backoff", "seconds", self.function(attempt))


KeptBackoff = Union[Exponential, Fixed, "Sequence[float | timedelta]"]
"""A backoff that a job can keep: any but a function."""


def backoff_of(owner: str, value: object) -> RetryBackoff:
    """Return the backoff that an option says; raises InvalidOption."""
    if isinstance(value, (Exponential, Fixed, DelayTable, ComputedBackoff)):
        return value
    if isinstance(value, (list, tuple)) and value:
        return DelayTable(tuple(seconds_of(owner, "backoff", one) for one in value))
    if callable(value) and not isinstance(value, type):
        function: Callable[[int], Any] = value
        return ComputedBackoff(function)
    raise InvalidOption("backoff", value, owner=owner, expected=EXPECTED)
