"""Time series in memory. Knows nothing of jobs or locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.time_series import SeriesEntry, SeriesPage
from mainspring.stores.clock import as_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.stores.clock import Moment

Entries = dict[int, SeriesEntry]


class MemorySeries:
    """Entries of each kind by their key.

    Each change is one step, so that whoever interrupts it finds it done or not.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, Entries] = {}
        self._last_key = 0

    def add(self, kind: str, at: datetime, text: bytes) -> None:
        """Keep a text."""
        self._last_key += 1
        entry = SeriesEntry(self._last_key, at, text)
        self._kinds.setdefault(kind, {})[entry.key] = entry

    def entries(
        self, kind: str, ages: tuple[float, float], before: int | None, limit: int, moment: Moment
    ) -> SeriesPage:
        """Return those between two ages, newest first."""
        first, last = (as_datetime(moment.after(-age)) for age in ages)
        fitting = [one for one in self._kinds.get(kind, {}).values() if first <= one.at <= last]
        newest = sorted(fitting, key=_place, reverse=True)
        if before is not None:
            known = self._kinds.get(kind, {}).get(before)
            newest = [one for one in newest if known and _place(one) < _place(known)]
        return SeriesPage(as_datetime(moment.micros), newest[:limit])

    def replace(
        self, kind: str, keys: Sequence[int], *, by: str, at: datetime, text: bytes
    ) -> bool:
        """Put one entry in the place of others, if all of these are there."""
        known = self._kinds.get(kind, {})
        if not known.keys() >= set(keys):
            return False
        self._last_key += 1
        entry = SeriesEntry(self._last_key, at, text)
        left = {key: one for key, one in known.items() if key not in set(keys)}
        kinds = {**self._kinds, kind: left}
        self._kinds = {**kinds, by: {**kinds.get(by, {}), entry.key: entry}}
        return True

    def drop(self, kind: str, older_than: float, limit: int, moment: Moment) -> int:
        """Drop what is that old; return how many."""
        last = as_datetime(moment.after(-older_than))
        known = self._kinds.get(kind, {})
        old = [key for key, one in known.items() if one.at <= last][:limit]
        self._kinds[kind] = {key: one for key, one in known.items() if key not in set(old)}
        return len(old)


def _place(entry: SeriesEntry) -> tuple[datetime, int]:
    return entry.at, entry.key
