"""Schedules as pure rules: every n seconds, by cron, or by any of several.

Each keeps to `mainspring.protocols.Schedule`. Cron's fields, and what happens when a clock changes
for summer, are those of Debian's cron: jobs at fixed times that a change would skip or repeat run
once, jobs at every hour or minute go by the clock (see `dial`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from mainspring.errors import InvalidOption
from mainspring.model.cron_times import ClockTimes, CronTimes, FixedTimes, has_fixed_times
from mainspring.model.options import number

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SHORTEST_SECONDS = 1e-6
"""The finest difference between two moments that a datetime can tell."""

_SECONDS = number(
    least=SHORTEST_SECONDS, expected="seconds greater than 0, at most 1e10 (300 years)"
)


class Rule(Protocol):
    """`mainspring.protocols.Schedule`, which this floor may not import."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment`, or None if there is no further."""
        ...


class Recurrent(Rule, Protocol):
    """A rule that can also be read backwards."""

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last moment up to and including `moment`, or None if there is none before."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every `seconds`, on the grid through `start` (aware; 1970 in UTC unless given)."""

    seconds: float
    start: datetime = EPOCH

    def __post_init__(self) -> None:
        _SECONDS("Every", "seconds", self.seconds)

    def next_after(self, moment: datetime) -> datetime:
        """Return the first moment of the grid after `moment`."""
        # timedelta arithmetic is exact where floats since 1970 would be off by microseconds.
        step = timedelta(seconds=self.seconds)
        passed = (moment - self.start) // step
        return (self.start + step * (passed + 1)).astimezone(UTC)

    def last_until(self, moment: datetime) -> datetime:
        """Return the last moment of the grid up to `moment`."""
        step = timedelta(seconds=self.seconds)
        return (self.start + step * ((moment - self.start) // step)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields (or six, with seconds first) in a time zone.

    `tz` is a name of the IANA database or a `tzinfo`. Raises `InvalidOption`.
    """

    expression: str
    tz: str | tzinfo = UTC
    _times: CronTimes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        zone = _zone(self.tz)
        try:
            CronSim(self.expression, EPOCH)
        except (CronSimError, AttributeError, TypeError) as error:
            raise InvalidOption(
                "cron",
                self.expression,
                owner="Cron",
                expected=f"five fields such as '*/5 * * * *' ({error})",
            ) from None
        kind: type[FixedTimes | ClockTimes] = (
            FixedTimes if has_fixed_times(self.expression) else ClockTimes
        )
        object.__setattr__(self, "_times", kind(self.expression, zone))

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first match after `moment`, in UTC; None if there is none in 50 years."""
        return self._times.next_after(moment.astimezone(UTC))

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last match up to `moment`, in UTC; None if there is none in 50 years."""
        return self._times.last_until(moment.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Due whenever one of several schedules is; at a moment that they share, once."""

    schedules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if not self.schedules:
            raise InvalidOption("schedules", (), owner="AnyOf", expected="at least one schedule")

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment` of any of them."""
        found = (one.next_after(moment) for one in self.schedules)
        return min((one for one in found if one is not None), default=None)


def _zone(tz: str | tzinfo) -> tzinfo:
    if isinstance(tz, tzinfo):
        return tz
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidOption(
            "tz", tz, owner="Cron", expected="a time zone's name such as 'Europe/Prague'"
        ) from None
