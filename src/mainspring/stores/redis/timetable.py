"""Schedules: each is a text, and changes only from the text that was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json
from msgspec.structs import replace

from mainspring.clock import EPOCH
from mainspring.model.timetable import UNREADABLE_RULE, NewSchedule, ScheduleRecord, Timetabled
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.redis.records import fields_of
from mainspring.stores.rules.columns import EARLIEST, LATEST, UNREADABLE
from mainspring.stores.rules.schedules import last_tick_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mainspring.model.job import NewJob
    from mainspring.stores.redis.intake import BatchIntake

decode_sound = json.Decoder(ScheduleRecord).decode
encode = json.Encoder().encode

Change = tuple[str, str | bool, str | bool]
"""Name of a schedule, its text as believed (False: none, True: any), its new one (False: none)."""


class RedisSchedules:
    """The schedules of a store. `run` runs a script and returns its answer."""

    def __init__(self, run: Callable[..., Any], intake: BatchIntake) -> None:
        self._run = run
        self._intake = intake

    def all(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        now, texts = self._read()
        return Timetabled(now, [decode(name, texts[name]) for name in sorted(texts)])

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name."""
        changes: list[Change] = []
        while True:
            now, texts = self._read()
            changes = [declared(new, texts.get(new.name), now) for new in schedules]
            if self._swap(changes):
                return

    def swap(self, new: NewSchedule, expected: NewSchedule | None) -> bool:
        """Keep a schedule if what is there under its name is as expected."""
        while True:
            now, texts = self._read()
            text = texts.get(new.name)
            if (None if text is None else decode(new.name, text).new) != expected:
                return False
            if self._swap([declared(new, text, now)], again=False):
                return True

    def tick(
        self, name: str, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a last tick and enqueue jobs; None if that was not its last tick."""
        while True:
            text = self._read()[1].get(name)
            known = None if text is None else decode(name, text)
            if (
                text is None
                or known is None
                or known.unreadable
                or known.paused
                or not known.last_tick == last < to
            ):
                return None
            moved = text_of(replace(known, last_tick=to))
            if (job_ids := self._intake.enqueue(jobs, (name, text, moved))) is not None:
                return job_ids

    def switch(self, name: str, *, paused: bool) -> bool:
        """Pause or resume a schedule; False if it is unknown, or was so already."""
        while True:
            now, texts = self._read()
            known = decode(name, texts[name]) if name in texts else None
            if known is None or known.unreadable or known.paused is paused:
                return False
            last = known.last_tick if paused else max(known.last_tick, now)
            changed = replace(known, paused=paused, last_tick=last)
            if self._swap([(name, texts[name], text_of(changed))], again=False):
                return True

    def forget(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        known = name in self._read()[1]
        return known and self._swap([(name, True, False)])

    def _read(self) -> tuple[datetime, dict[str, str]]:
        now, flat = self._run("schedules")
        return as_datetime(now), fields_of(flat)

    def _swap(self, changes: Sequence[Change], *, again: bool = True) -> bool:
        """Return whether the changes were made; sent again they would meet themselves."""
        return bool(self._run("swap", changes, again=again))


def declared(new: NewSchedule, text: str | None, now: datetime) -> Change:
    """Return the change that a declaration makes."""
    known = None if text is None else decode(new.name, text)
    believed = text or False
    if known is not None and known.unreadable:
        # It may be no text, and could not be told as it is.
        known, believed = None, True
    kept = known or ScheduleRecord(new, now, now, paused=False)
    return (
        new.name,
        believed,
        text_of(replace(kept, new=new, last_tick=last_tick_of(new, known, now))),
    )


def text_of(record: ScheduleRecord) -> str:
    """Return the text that a schedule is kept as."""
    return encode(record).decode()


def decode(name: str, text: str) -> ScheduleRecord:
    """Return the schedule that a text says; of one that can't be read, only that it is there."""
    try:
        found = decode_sound(text)
    except UNREADABLE:
        return unreadable(name)
    return found if found.new.name == name and is_near(found) else unreadable(name)


def is_near(record: ScheduleRecord) -> bool:
    """Return whether rules can count from a schedule's moments."""
    moments = record.anchor, record.last_tick
    return all(one.tzinfo is not None and EARLIEST <= as_micros(one) <= LATEST for one in moments)


def unreadable(name: str) -> ScheduleRecord:
    """Return a schedule of which nothing but its name is known."""
    new = NewSchedule(name, UNREADABLE_RULE, "", "", b"")
    return ScheduleRecord(new, EPOCH, EPOCH, paused=False, unreadable=("record",))
