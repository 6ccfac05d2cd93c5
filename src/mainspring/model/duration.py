"""Durations that people give as options: seconds, or a timedelta."""

from __future__ import annotations

from datetime import timedelta

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number

LONGEST_SECONDS = 1e10
"""What every store and every calendar can hold: 300 years."""


def seconds_of(owner: str, option: str, value: object, *, positive: bool = False) -> float:
    """Return the seconds that an option says; raises InvalidOption.

    From 0, or above it if they must be `positive`, to LONGEST_SECONDS.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # Compared before it becomes a float: there are integers that none can hold.
    if is_number(seconds) and 0 <= seconds <= LONGEST_SECONDS and (seconds > 0 or not positive):
        return float(seconds)
    least = "above 0, up to" if positive else "from 0 to"
    expected = f"seconds {least} 1e10 (300 years), or a timedelta"
    raise InvalidOption(option, value, owner=owner, expected=expected)
