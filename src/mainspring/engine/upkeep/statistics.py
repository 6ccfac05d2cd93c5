"""Dated texts as they grow old: windows to minutes, minutes to hours; all go after a month.

The hours of the last day are added up beside their minutes, for who asks for the day in one sum.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.model.audit import AUDIT
from mainspring.model.lost_node import LOST, LOST_SECONDS
from mainspring.model.stack_request import DEMAND_SECONDS, STACK
from mainspring.model.statistics import (
    DAY_SECONDS,
    HOUR,
    HOUR_SECONDS,
    MINUTE,
    MINUTE_SECONDS,
    MONTH_SECONDS,
    RECENT_HOUR,
    WINDOW,
    Tallies,
    period_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mainspring.model.time_series import SeriesEntry
    from mainspring.protocols import TimeSeries

SETTLED_SECONDS = MINUTE_SECONDS
"""Seconds since its end after which nothing more comes to a minute, or it is a text beside it."""

MOST_READ = 2_000
"""Texts that one turn reads of a kind, and drops; it goes on in a minute."""

LATE_SECONDS = 5 * MINUTE_SECONDS
"""Seconds since its end after which an hour's minutes are all there."""

HOURS = int(DAY_SECONDS / HOUR_SECONDS)


class StatisticsUpkeep:
    """Keeps a store's statistics small, and its other series. Nodes may do it at once: one wins."""

    def __init__(self, store: TimeSeries) -> None:
        self._store = store
        self._summed_until: datetime | None = None

    def turn(self) -> None:
        """Add up what is old enough, and drop what is too old."""
        self._add_up(WINDOW, MINUTE, every=MINUTE_SECONDS, after=SETTLED_SECONDS)
        self._sum_recent_hour()
        self._add_up(MINUTE, HOUR, every=HOUR_SECONDS, after=DAY_SECONDS)
        for kind in (WINDOW, MINUTE, HOUR, AUDIT):
            self._store.drop_entries(kind, older_than=MONTH_SECONDS, limit=MOST_READ)
        self._store.drop_entries(RECENT_HOUR, older_than=DAY_SECONDS, limit=MOST_READ)
        self._store.drop_entries(LOST, older_than=LOST_SECONDS, limit=MOST_READ)
        self._store.drop_entries(STACK, older_than=2 * DEMAND_SECONDS, limit=MOST_READ)

    def _sum_recent_hour(self) -> None:
        """Write the sum of the newest whole hour of the day that has none yet: one in a turn."""
        late = self._store.entries(WINDOW, newer_than=DAY_SECONDS, older_than=LATE_SECONDS, limit=1)
        until = period_of(late.now - timedelta(seconds=LATE_SECONDS), HOUR_SECONDS)
        if late.entries or until == self._summed_until:
            return
        known = self._store.entries(RECENT_HOUR, newer_than=DAY_SECONDS, limit=MOST_READ)
        summed = {entry.at for entry in known.entries}
        for ago in range(1, HOURS):
            start = until - timedelta(seconds=ago * HOUR_SECONDS)
            if start not in summed and (minutes := self._minutes_of(start, known.now)):
                self._put(minutes, (), kind=RECENT_HOUR, by=RECENT_HOUR, at=start)
                return
        self._summed_until = until

    def _minutes_of(self, start: datetime, now: datetime) -> list[SeriesEntry]:
        """Return the texts of the minutes of an hour."""
        age = (now - start).total_seconds()
        found = self._store.entries(
            MINUTE,
            # The store's clock goes on between two reads: a minute more, and those of it left out.
            newer_than=age + MINUTE_SECONDS,
            older_than=age - HOUR_SECONDS,
            limit=MOST_READ,
        )
        return [one for one in found.entries if period_of(one.at, HOUR_SECONDS) == start]

    def _add_up(self, kind: str, by: str, *, every: float, after: float) -> None:
        """Put one text in the place of those of each period that has ended so long ago."""
        found = self._store.entries(
            kind, newer_than=MONTH_SECONDS, older_than=after, limit=MOST_READ
        )
        periods: defaultdict[datetime, list[SeriesEntry]] = defaultdict(list)
        for entry in found.entries:
            periods[period_of(entry.at, every)].append(entry)
        settled = found.now - timedelta(seconds=every + after)
        for start, entries in periods.items():
            if start > settled:
                continue
            keys = [entry.key for entry in entries]
            self._put(entries, keys, kind=kind, by=by, at=start)

    def _put(
        self,
        entries: Iterable[SeriesEntry],
        keys: Sequence[int],
        *,
        kind: str,
        by: str,
        at: datetime,
    ) -> None:
        """Keep the sum of entries in the place of those of some keys."""
        tallies = Tallies()
        for entry in entries:
            tallies.add(entry.text)
        self._store.replace_entries(kind, keys, by=by, at=at, text=tallies.text(sums=True))
