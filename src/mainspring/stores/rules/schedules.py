"""The last tick of a schedule that is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.model.timetable import NewSchedule, ScheduleRecord


def last_tick_of(new: NewSchedule, known: ScheduleRecord | None, now: datetime) -> datetime:
    """Return the last tick of a schedule as it is declared.

    A new one counts from now, and so does a new rule, which has missed nothing; the last tick of a
    known schedule never goes back.
    """
    if known is None or "last_tick" in known.unreadable:
        return now
    return known.last_tick if known.new.rule == new.rule else max(known.last_tick, now)
