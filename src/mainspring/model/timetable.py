"""Schedules as a store keeps them, and the rules for due ticks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, json
from msgspec.structs import replace

from mainspring.errors import InvalidOption, ScheduleUnreadable
from mainspring.model.job import NewJob
from mainspring.model.job_options import NO_OWN_OPTIONS, JobOptions, encode_options
from mainspring.model.unique import words_of

if TYPE_CHECKING:
    from mainspring.model.schedule import Recurrent

CatchUp = Literal["skip", "one", "all"]
"""Treatment of ticks that were missed: no job, one job for all of them, or one job each."""

LATE = timedelta(seconds=10)
"""A tick that is due for longer than this was missed."""

MOST_TICKS = 1_000
"""Most missed ticks that `"all"` catches up; of more, the last ones."""


class RuleText(Struct, frozen=True, omit_defaults=True):
    """A schedule's rule as it is kept: `cron` with its `tz`, or `every` so many seconds."""

    cron: str | None = None
    tz: str = "UTC"
    every: float | None = None

    def rule(self, anchor: datetime) -> Recurrent:
        """Return the rule; intervals count from `anchor`. Raises `InvalidOption`."""
        from mainspring.model.schedule import Cron, Every  # noqa: PLC0415  # a lazy door

        if self.every is not None:
            return Every(self.every, start=anchor)
        return Cron(self.cron or "", self.tz)

    def __str__(self) -> str:
        """Read as a person would say it."""
        if self.every is not None:
            return f"every {self.every:g} s"
        return "unreadable" if self.cron is None else f"{self.cron} ({self.tz})"


class NewSchedule(Struct, frozen=True):
    """A schedule as it is declared: jobs of `task` with that payload, whenever `rule` says.

    `unique`, `expires` and `options` are those of its jobs, as in `NewJob`. `added`: it was made at
    run time, and is ticked by each worker that knows the task; else by those whose code declares
    it.
    """

    name: str
    rule: RuleText
    task: str
    queue: str
    payload: bytes
    priority: int = 0
    catch_up: CatchUp = "one"
    unique: str | None = None
    expires: float | None = None
    added: bool = False
    options: JobOptions = NO_OWN_OPTIONS

    @property
    def terms(self) -> dict[str, Any]:
        """The options that its jobs have beside queue, priority, tags and metadata, by name."""
        own = replace(self.options, tags=(), metadata={}).given()
        unique = None if self.unique is None else words_of(self.unique)
        given = {"unique": unique, "expires": self.expires, **own}
        return {option: value for option, value in given.items() if value is not None}

    def job(self) -> NewJob:
        """Return one of its jobs.

        One that meets a live job of its unique key is that one: a tick has nobody to raise to.
        """
        return NewJob(
            self.task,
            self.queue,
            self.payload,
            self.priority,
            unique=self.unique,
            expires=self.expires,
            options=encode_options(self.options) if self.options else None,
        )


class ScheduleRecord(Struct, frozen=True):
    """A schedule as the store holds it. `anchor` and `last_tick` are aware UTC.

    `last_tick` is also set when it is declared, changed or resumed: it counts from there.
    `unreadable` names the fields that the store holds no sound value of: then it does not tick.
    """

    new: NewSchedule
    anchor: datetime
    last_tick: datetime
    paused: bool
    unreadable: tuple[str, ...] = ()

    @property
    def rule(self) -> Recurrent:
        """Its rule; raises `ScheduleUnreadable`, or `InvalidOption` for an odd rule."""
        self.check()
        return self.new.rule.rule(self.anchor)

    def check(self) -> None:
        """Raise `ScheduleUnreadable` for one that can't be read."""
        if self.unreadable:
            raise ScheduleUnreadable(self.new.name, self.unreadable)

    def next_after(self, moment: datetime) -> datetime | None:
        """Return its first tick after `moment`, None if there is no further."""
        return self.rule.next_after(moment)

    def ticked_at(self) -> datetime | None:
        """Return its last tick; None if it made none since it counts, or if it can't be read."""
        if self.last_tick <= self.anchor:
            return None
        try:
            tick = self.rule.last_until(self.last_tick)
        except (InvalidOption, ScheduleUnreadable):
            return None
        return tick if tick == self.last_tick else None


class Timetabled(Struct, frozen=True):
    """All schedules, and the store's own time when it read them."""

    now: datetime
    schedules: list[ScheduleRecord]


class Due(Struct, frozen=True):
    """Work due at a moment: move the last tick to `to`, and enqueue `jobs` jobs."""

    to: datetime
    jobs: int


def due_at(schedule: ScheduleRecord, now: datetime) -> Due | None:
    """Return what is due of a schedule; None if no tick is."""
    ticks = _ticks_until(schedule, now)
    if not ticks:
        return None
    catch_up = schedule.new.catch_up
    if catch_up == "all":
        return Due(ticks[-1], len(ticks))
    if catch_up == "skip" and now - ticks[-1] > LATE:
        return Due(ticks[-1], 0)
    return Due(ticks[-1], 1)


def next_tick(schedule: ScheduleRecord, now: datetime) -> datetime | None:
    """Return the first tick of a schedule after `now`; None if there is no further.

    A clock that was set back makes no tick a second time.
    """
    return schedule.next_after(max(now, schedule.last_tick))


def _ticks_until(schedule: ScheduleRecord, now: datetime) -> list[datetime]:
    """Return the ticks since the last one; under all rules but "all", the last of them."""
    rule = schedule.rule
    most = MOST_TICKS if schedule.new.catch_up == "all" else 1
    ticks: list[datetime] = []
    # Read backwards: after a month's sleep there are more ticks of a second than anybody counts.
    tick = rule.last_until(now)
    while tick is not None and tick > schedule.last_tick and len(ticks) < most:
        ticks.append(tick)
        tick = rule.last_until(tick - timedelta(microseconds=1))
    return ticks[::-1]


encode_rule = json.Encoder().encode
decode_rule = json.Decoder(RuleText).decode

CATCH_UPS: tuple[CatchUp, ...] = ("one", "skip", "all")
UNREADABLE_RULE = RuleText()
"""Stands for a rule that can't be read."""
