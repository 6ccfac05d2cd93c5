"""Durations: as people give them in options, and as they read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.options import LONGEST_SECONDS, POSITIVE_SECONDS, SECONDS

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LONGEST_SECONDS", "distance", "seconds_of", "span"]

MINUTE, HOUR, DAY = 60, 3600, 86_400


def seconds_of(owner: str, option: str, value: object, *, positive: bool = False) -> float:
    """Return the seconds that an option says; raises InvalidOption.

    From 0, or above it if they must be `positive`, to LONGEST_SECONDS.
    """
    check = POSITIVE_SECONDS if positive else SECONDS
    return float(check(owner, option, value))


def distance(moment: datetime | None, now: datetime) -> str:
    """Return how far away a moment is; nothing for None."""
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    return f"{span(-seconds)} ago" if seconds < 0 else f"in {span(seconds)}"


def latency(seconds: float) -> str:
    """Return a time that may be short, to two digits or so."""
    if seconds >= 1:
        return span(seconds)
    thousandths = 1000 * seconds
    return f"{thousandths:.0f} ms" if thousandths >= 10 else f"{thousandths:.1f} ms"  # noqa: PLR2004  # digits


def span(seconds: float) -> str:
    """Return a time in the largest unit that suits it."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"
