"""Instants of a cron expression in a time zone, across changes of the clock.

cronsim says which times match on a calendar without a zone; what becomes of them when a clock is
changed is said here, the same way forwards and backwards. (Asked in the second of two equal hours,
cronsim's own answer lies in the first, and it skips times where a clock changes by half an hour.)
The rule is that of Debian's cron: an expression with fixed times (neither minute nor hour begins
with `*`) runs once for each of its times, also if a change repeats that time or leaves it out (then
at the end of the gap); any other goes by what the clock shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Protocol

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

MOST_CHANGES = 1_000
"""Most changes of the clock that the search for a match passes."""

FIELDS_WITHOUT_SECONDS = 5


def has_fixed_times(expression: str) -> bool:
    """Return whether an expression names its times of day, rather than every so many minutes."""
    parts = expression.split()
    fixed = not (parts[0].startswith("*") or parts[1].startswith("*"))
    return len(parts) == FIELDS_WITHOUT_SECONDS and fixed


class CronTimes(Protocol):
    """Reads an expression both ways. Moments are aware UTC."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first match after `moment`; None if there is none in 50 years."""
        ...

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last match up to `moment`; None if there is none in 50 years."""
        ...


@dataclass(frozen=True, slots=True)
class FixedTimes:
    """Each matching time is one instant: of two, the first; of none, the end of the gap."""

    expression: str
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first match after `moment`."""
        # Of an hour that comes twice the times mean the first: the second has passed them all.
        instants = map(self._instant, _after(self.expression, _shown(moment, self.zone)))
        return next((instant for instant in instants if instant > moment), None)

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last match up to `moment`."""
        local = moment.astimezone(self.zone)
        # In the second of two equal hours, the times of the whole first have been.
        first = local.replace(fold=0).utcoffset() or timedelta()
        latest = _shown(moment, self.zone) + first - _offset(moment, self.zone)
        instants = map(self._instant, _until(self.expression, latest))
        return next((instant for instant in instants if instant <= moment), None)

    def _instant(self, shown: datetime) -> datetime:
        while not _exists(shown, self.zone):
            shown += MINUTE
        return shown.replace(tzinfo=self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """An instant matches if the clock shows a matching time: twice, once, or not at all."""

    expression: str
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first match after `moment`."""
        begin, shown = moment, _shown(moment, self.zone)
        for _ in range(MOST_CHANGES):
            match = next(_after(self.expression, shown), None)
            if match is None:
                return None
            found = match.replace(tzinfo=UTC) - _offset(begin, self.zone)
            change = _change(begin, found, self.zone)
            if change is None:
                return found
            # What the clock is set to may match itself.
            begin, shown = change, _shown(change, self.zone) - SECOND
        return None

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last match up to `moment`."""
        end, shown = moment, _shown(moment, self.zone)
        for _ in range(MOST_CHANGES):
            match = next(_until(self.expression, shown), None)
            if match is None:
                return None
            found = match.replace(tzinfo=UTC) - _offset(end, self.zone)
            change = _change(end, found, self.zone)
            if change is None:
                return found
            end, shown = change, _shown(change, self.zone)
        return None


def _after(expression: str, shown: datetime) -> Iterator[datetime]:
    return CronSim(expression, shown)


def _until(expression: str, shown: datetime) -> Iterator[datetime]:
    # Read backwards, cronsim begins before the second that it is given.
    return CronSim(expression, shown.replace(microsecond=0) + SECOND, reverse=True)


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _exists(shown: datetime, zone: tzinfo) -> bool:
    aware = shown.replace(tzinfo=zone)
    return aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == shown


def _change(near: datetime, far: datetime, zone: tzinfo) -> datetime | None:
    """Return the whole second nearest to `near`, on the way to `far`, with another offset."""
    if isinstance(zone, timezone):
        return None
    offset = _offset(near, zone)
    same = near.replace(microsecond=0)
    step = DAY if far > near else -DAY
    while same != far:
        other = same + step
        if abs(far - same) < DAY:
            other = far
        if _offset(other, zone) != offset:
            return _border(same, other, zone)
        same = other
    return None


def _border(same: datetime, other: datetime, zone: tzinfo) -> datetime:
    offset = _offset(same, zone)
    while abs(other - same) > SECOND:
        middle = same + timedelta(seconds=(other - same) // SECOND // 2)
        if _offset(middle, zone) == offset:
            same = middle
        else:
            other = middle
    return other
