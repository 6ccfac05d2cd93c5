"""Model of a store's timetable. Needs hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from mainspring.model.timetable import NewSchedule, RuleText

NAMES = ("s", "t")
RULES = {
    "every": RuleText(every=10.0),
    "slower": RuleText(every=60.0),
    "cron": RuleText(cron="* * * * *"),
}
STEP = timedelta(seconds=10)

rules = st.sampled_from(sorted(RULES))


@dataclass
class ModelSchedule:
    """A schedule as it ought to be."""

    new: NewSchedule
    anchor: datetime
    last: datetime
    paused: bool = False


class TimetableModel:
    """Every schedule by its name."""

    def __init__(self) -> None:
        self.schedules: dict[str, ModelSchedule] = {}

    def new(self, name: str, recurrence: str, *, added: bool = False) -> NewSchedule:
        """Return a schedule that may be declared, or added."""
        rule = RULES[recurrence]
        return NewSchedule(name, rule, task="a", queue="x", payload=b"[[1],{}]", added=added)

    def swap(self, new: NewSchedule, expected: NewSchedule | None, now: float) -> bool:
        """Keep a schedule over what is expected; return whether that was there."""
        known = self.schedules.get(new.name)
        if (known and known.new) != expected:
            return False
        self.declare(new, now)
        return True

    def declare(self, new: NewSchedule, now: float) -> NewSchedule:
        """Keep a schedule; return it."""
        name = new.name
        known = self.schedules.get(name)
        if known is None:
            self.schedules[name] = ModelSchedule(new, instant(now), instant(now))
            return new
        if known.new.rule != new.rule:
            known.last = max(known.last, instant(now))
        known.new = new
        return new

    def step(self, name: str, *, stale: bool) -> tuple[datetime, datetime]:
        """Return a last tick, wrong if it is to be stale, and the next one."""
        last = self.schedules[name].last
        return last - stale * STEP, last + STEP

    def pause(self, name: str) -> bool:
        """Tick no more; return whether that is news."""
        known = self.schedules.get(name)
        news = known is not None and not known.paused
        if known is not None:
            known.paused = True
        return news

    def resume(self, name: str, now: float) -> bool:
        """Tick again, from now on; return whether that is news."""
        known = self.schedules.get(name)
        if known is None or not known.paused:
            return False
        known.paused, known.last = False, max(known.last, instant(now))
        return True

    def forget(self, name: str) -> bool:
        """Drop a schedule; return whether there was one."""
        return self.schedules.pop(name, None) is not None


def instant(seconds: float) -> datetime:
    """Return a time of the frozen clock as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
