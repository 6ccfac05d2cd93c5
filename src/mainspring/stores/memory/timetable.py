"""Schedules in memory. Knows nothing of jobs or locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainspring.model.timetable import ScheduleRecord
from mainspring.stores.clock import as_datetime
from mainspring.stores.rules.schedules import last_tick_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.timetable import NewSchedule
    from mainspring.stores.clock import Moment


class MemorySchedules:
    """Every schedule by its name."""

    def __init__(self) -> None:
        self._records: dict[str, ScheduleRecord] = {}

    def all(self) -> list[ScheduleRecord]:
        """Return them by name."""
        return [self._records[name] for name in sorted(self._records)]

    def declare(self, schedules: Sequence[NewSchedule], moment: Moment) -> None:
        """Keep schedules."""
        now = as_datetime(moment.micros)
        for new in schedules:
            known = self._records.get(new.name)
            last = last_tick_of(new, known, now)
            kept = known or ScheduleRecord(new, now, now, paused=False)
            self._records[new.name] = replace(kept, new=new, last_tick=last)

    def swap(self, new: NewSchedule, expected: NewSchedule | None, moment: Moment) -> bool:
        """Keep a schedule if what is there is as expected."""
        known = self._records.get(new.name)
        if (known and known.new) != expected:
            return False
        self.declare([new], moment)
        return True

    def ticks(self, name: str, last: datetime, to: datetime) -> bool:
        """Return whether a schedule ticks, `last` is its last tick, and `to` is no step back."""
        known = self._records.get(name)
        return known is not None and not known.paused and known.last_tick == last < to

    def advance(self, name: str, to: datetime) -> None:
        """Move a last tick on."""
        self._records[name] = replace(self._records[name], last_tick=to)

    def pause(self, name: str) -> bool:
        """Tick no more."""
        return self._switch(name, paused=True)

    def resume(self, name: str, moment: Moment) -> bool:
        """Tick again, from now on."""
        if not self._switch(name, paused=False):
            return False
        known = self._records[name]
        last = max(known.last_tick, as_datetime(moment.micros))
        self._records[name] = replace(known, last_tick=last)
        return True

    def forget(self, name: str) -> bool:
        """Drop a schedule."""
        return self._records.pop(name, None) is not None

    def adopt(self, records: Sequence[ScheduleRecord]) -> int:
        """Keep schedules of another store of whose names there are none; return how many."""
        new = {one.new.name: one for one in records if one.new.name not in self._records}
        self._records.update(new)
        return len(new)

    def _switch(self, name: str, *, paused: bool) -> bool:
        known = self._records.get(name)
        if known is None or known.paused is paused:
            return False
        self._records[name] = replace(known, paused=paused)
        return True
