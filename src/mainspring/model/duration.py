"""Durations that people give as options: seconds, or a timedelta."""

from __future__ import annotations

from mainspring.model.options import LONGEST_SECONDS, POSITIVE_SECONDS, SECONDS

__all__ = ["LONGEST_SECONDS", "seconds_of"]


def seconds_of(owner: str, option: str, value: object, *, positive: bool = False) -> float:
    """Return the seconds that an option says; raises InvalidOption.

    From 0, or above it if they must be `positive`, to LONGEST_SECONDS.
    """
    check = POSITIVE_SECONDS if positive else SECONDS
    return float(check(owner, option, value))
