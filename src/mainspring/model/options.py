"""Checks of options: a table declares the options of one owner, each with its kind and bounds.

A check knows the values that it accepts and how the error names them; the defaults stand in the
signatures, where users and type checkers read them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption, UnknownOption
from mainspring.model.foreign_names import our_option
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.number import is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LONGEST_SECONDS = 1e10
"""Longest time that every store and every calendar can hold: 300 years."""


class Check:
    """Accepts the values of one option; `expected` names them in the error.

    `convert` makes of an accepted value what is kept.
    """

    __slots__ = ("accepts", "convert", "expected")

    def __init__(
        self,
        accepts: Callable[[Any], bool],
        expected: str,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        self.accepts = accepts
        self.expected = expected
        self.convert = convert

    def __call__(self, owner: str, option: str, value: Any) -> Any:
        """Return the value as it is kept; raises InvalidOption."""
        if not self.accepts(value):
            raise InvalidOption(option, value, owner=owner, expected=self.expected)
        return value if self.convert is None else self.convert(value)

    def or_none(self, meaning: str = "None") -> Check:
        """Return the check that accepts None, too; `meaning` says so in the error."""
        convert = self.convert
        return Check(
            lambda value: value is None or self.accepts(value),
            f"{self.expected}, or {meaning}",
            convert and (lambda value: None if value is None else convert(value)),
        )


Checks = dict[str, Check]
"""The options of one owner by name."""


def checked(owner: str, checks: Checks, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options as they are kept; raises InvalidOption or UnknownOption."""
    refuse_unknown(owner, given, checks)
    return {option: checks[option](owner, option, value) for option, value in given.items()}


def check_fields(owner: str, checks: Checks, values: object) -> None:
    """Check the attributes of an object that bear the options' names; raises InvalidOption."""
    for option, check in checks.items():
        check(owner, option, getattr(values, option))


def refuse_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise UnknownOption for the first option that does not exist."""
    for option in given:
        if option not in known:
            names = tuple(known)
            raise UnknownOption(option, owner=owner, known=names, ours=our_option(option, names))


def seconds(
    *,
    least: float = 0.0,
    most: float = LONGEST_SECONDS,
    above: bool = False,
    expected: str = "",
) -> Check:
    """Accept a duration, a number or a timedelta, and keep it as float.

    From `least`, or `above` it, to `most`.
    """

    def accepts(value: object) -> bool:
        number = _in_seconds(value)
        # Compared before it becomes a float: there are integers that none can hold.
        in_bounds = is_number(number) and least <= number <= most
        return in_bounds and not (above and number == least)

    bound = f"above {least:g}, up to" if above else f"from {least:g} to"
    usual = f"seconds {bound} 1e10 (300 years), or a timedelta"
    return Check(accepts, expected or usual, lambda value: float(_in_seconds(value)))


def number(
    *, least: float, most: float = LONGEST_SECONDS, above: bool = False, expected: str
) -> Check:
    """Accept a number from `least`, or `above` it, to `most`; nan is none of these."""
    return Check(
        lambda value: (
            is_number(value) and least <= value <= most and not (above and value == least)
        ),
        expected,
    )


def count(*, least: int, most: int | None = None, expected: str = "") -> Check:
    """Accept a whole number from `least` to `most`."""
    usual = f"a whole number, at least {least}"
    if most is not None:
        usual = f"a whole number from {least} to {most}"
    return Check(
        lambda value: is_whole(value) and value >= least and (most is None or value <= most),
        expected or usual,
    )


def one_of(*values: str) -> Check:
    """Accept one of some texts."""
    *first, last = [f'"{value}"' for value in values]
    return Check(lambda value: value in values, f"{', '.join(first)} or {last}")


def instance_of(kind: type | tuple[type, ...], expected: str) -> Check:
    """Accept the instances of a class."""
    return Check(lambda value: isinstance(value, kind), expected)


def _in_seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


SECONDS = seconds()
POSITIVE_SECONDS = seconds(above=True)
NAME = Check(is_name, EXPECTED)
FLAG = instance_of(bool, "True or False")
