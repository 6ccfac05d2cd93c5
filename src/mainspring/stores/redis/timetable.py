"""Schedules: each is a text, and changes only from the text that was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json
from msgspec.structs import replace

from mainspring.model.timetable import ScheduleRecord, Timetabled
from mainspring.stores.clock import as_datetime
from mainspring.stores.redis.records import fields_of
from mainspring.stores.rules.schedules import last_tick_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mainspring.model.job import NewJob
    from mainspring.model.timetable import NewSchedule
    from mainspring.stores.redis.intake import BatchIntake

decode = json.Decoder(ScheduleRecord).decode
encode = json.Encoder().encode

Change = tuple[str, str | None, str | None]
"""Name of a schedule, its text as believed (None: unknown), its new text (None: drop it)."""


class RedisSchedules:
    """The schedules of a store. `run` runs a script and returns its answer."""

    def __init__(self, run: Callable[..., Any], intake: BatchIntake) -> None:
        self._run = run
        self._intake = intake

    def all(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        now, texts = self._read()
        return Timetabled(now, [decode(texts[name]) for name in sorted(texts)])

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
            if (None if text is None else decode(text).new) != expected:
                return False
            if self._swap([declared(new, text, now)]):
                return True

    def tick(
        self, name: str, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a last tick and enqueue jobs; None if that was not its last tick."""
        while True:
            text = self._read()[1].get(name)
            known = None if text is None else decode(text)
            if text is None or known is None or known.paused or not known.last_tick == last < to:
                return None
            moved = text_of(replace(known, last_tick=to))
            if (job_ids := self._intake.enqueue(jobs, (name, text, moved))) is not None:
                return job_ids

    def switch(self, name: str, *, paused: bool) -> bool:
        """Pause or resume a schedule; False if it is unknown, or was so already."""
        while True:
            now, texts = self._read()
            if name not in texts or (known := decode(texts[name])).paused is paused:
                return False
            last = known.last_tick if paused else max(known.last_tick, now)
            changed = replace(known, paused=paused, last_tick=last)
            if self._swap([(name, texts[name], text_of(changed))]):
                return True

    def forget(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        while True:
            texts = self._read()[1]
            if name not in texts:
                return False
            if self._swap([(name, texts[name], None)]):
                return True

    def _read(self) -> tuple[datetime, dict[str, str]]:
        now, flat = self._run("schedules")
        return as_datetime(now), fields_of(flat)

    def _swap(self, changes: Sequence[Change]) -> bool:
        return bool(
            self._run("swap", [(name, old or False, new or False) for name, old, new in changes])
        )


def declared(new: NewSchedule, text: str | None, now: datetime) -> Change:
    """Return the change that a declaration makes."""
    known = None if text is None else decode(text)
    kept = known or ScheduleRecord(new, now, now, paused=False)
    return new.name, text, text_of(replace(kept, new=new, last_tick=last_tick_of(new, known, now)))


def text_of(record: ScheduleRecord) -> str:
    """Return the text that a schedule is kept as."""
    return encode(record).decode()
