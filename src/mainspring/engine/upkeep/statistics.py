"""Dated texts as they grow old: windows to minutes, minutes to hours; all go after a month."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.model.audit import AUDIT
from mainspring.model.stack_request import DEMAND_SECONDS, STACK
from mainspring.model.statistics import (
    DAY_SECONDS,
    HOUR,
    HOUR_SECONDS,
    MINUTE,
    MINUTE_SECONDS,
    MONTH_SECONDS,
    WINDOW,
    Tallies,
    period_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.model.time_series import SeriesEntry
    from mainspring.protocols import TimeSeries

SETTLED_SECONDS = MINUTE_SECONDS
"""Seconds since its end after which nothing more comes to a minute, or it is a text beside it."""

MOST_READ = 2_000
"""Texts that one turn reads of a kind, and drops; it goes on in a minute."""


class StatisticsUpkeep:
    """Keeps a store's statistics small, and its audit log. Nodes may do it at once: one wins."""

    def __init__(self, store: TimeSeries) -> None:
        self._store = store

    def turn(self) -> None:
        """Add up what is old enough, and drop what is too old."""
        self._add_up(WINDOW, MINUTE, every=MINUTE_SECONDS, after=SETTLED_SECONDS)
        self._add_up(MINUTE, HOUR, every=HOUR_SECONDS, after=DAY_SECONDS)
        for kind in (WINDOW, MINUTE, HOUR, AUDIT):
            self._store.drop_entries(kind, older_than=MONTH_SECONDS, limit=MOST_READ)
        self._store.drop_entries(STACK, older_than=2 * DEMAND_SECONDS, limit=MOST_READ)

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
            tallies = Tallies()
            for entry in entries:
                tallies.add(entry.text)
            keys = [entry.key for entry in entries]
            self._store.replace_entries(kind, keys, by=by, at=start, text=tallies.text(sums=True))
