"""A schedule in the caller's hand: its fields, and what may be done with it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.model import options
from mainspring.model.async_twin import off_loop
from mainspring.model.timetable import ScheduleRecord
from mainspring.queue.job_handle import JobHandle

if TYPE_CHECKING:
    from mainspring.model.timetable import CatchUp, NewSchedule
    from mainspring.protocols import Timetable
    from mainspring.queue.client import QueueClient

Seen = tuple[ScheduleRecord | None, datetime]
"""A schedule as the store had it, and the store's time."""

MOST_TIMES = 1_000
_COUNT = options.count(least=1, most=MOST_TIMES)


class ScheduleHandle:
    """A schedule in the caller's hand. Every field is read from the store when it is asked for.

    One that no worker has brought to the store yet reads as it was declared, with no last tick.
    The fields of one from `Schedules.list` are those of that moment.
    """

    def __init__(
        self,
        client: QueueClient,
        timetable: Timetable,
        name: str,
        declared: NewSchedule | None,
        seen: Seen | None = None,
    ) -> None:
        self._client = client
        self._timetable = timetable
        self._declared = declared
        self._seen = seen
        self.name = name

    def __repr__(self) -> str:
        return f"<ScheduleHandle {self.name}>"

    @property
    def rule(self) -> str:
        """Its rule, as a person would say it."""
        return str(self._new().rule)

    @property
    def task(self) -> str:
        """The name of the task of its jobs."""
        return self._new().task

    @property
    def queue(self) -> str:
        """The queue of its jobs."""
        return self._new().queue

    @property
    def priority(self) -> int:
        """The priority of its jobs: lower is more urgent."""
        return self._new().priority

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of its jobs."""
        return self._call()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments of its jobs."""
        return self._call()[1]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of its jobs."""
        return self._new().options.tags

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of its jobs."""
        return self._new().options.metadata

    @property
    def options(self) -> dict[str, Any]:
        """The options of its jobs that differ from the task's, by name: `retries` and so on.

        `unique` is in words: the user's key, or what it is made of.
        """
        return self._new().terms

    @property
    def catch_up(self) -> CatchUp:
        """Treatment of missed ticks."""
        return self._new().catch_up

    @property
    def added(self) -> bool:
        """True if it was added at run time, False if code declares it."""
        return self._new().added

    @property
    def kept(self) -> bool:
        """True if it is in the store; else it ticks once a worker that declares it starts."""
        return self._look()[0] is not None

    @property
    def last_tick(self) -> datetime | None:
        """Its last tick (aware UTC); None: none since it was declared, changed or resumed."""
        record, _ = self._look()
        return None if record is None else record.ticked_at()

    @property
    def paused(self) -> bool:
        """True while it is paused, until `resume`."""
        record, _ = self._look()
        return record is not None and record.paused

    def next(self, count: int = 1) -> list[datetime]:
        """Return its next times (aware UTC), at most `count`; a pause is not looked at.

        Fewer than that if the rule has no more.
        """
        _COUNT(f"schedule {self.name!r}", "count", count)
        record, now = self._look()
        if record is None:
            record = ScheduleRecord(self._new(), now, now, paused=False)
        times = [now]
        while len(times) <= count and (following := record.next_after(times[-1])) is not None:
            times.append(following)
        return times[1:]

    anext = off_loop(next)  # noqa: A003  # the method above

    def pause(self) -> bool:
        """Tick no more, in no process; False if it was paused already."""
        self._seen = None
        self._make_known()
        return self._timetable.pause_schedule(self.name)

    apause = off_loop(pause)

    def resume(self) -> bool:
        """Tick again, from now on; False if it was not paused."""
        self._seen = None
        return self._timetable.resume_schedule(self.name)

    aresume = off_loop(resume)

    def trigger(self) -> JobHandle[Any]:
        """Enqueue one of its jobs now; its ticks go on as they were.

        If a live job bears its unique key, the handle is that one's.
        """
        record, _ = self._look()
        if record is not None:
            record.check()
        new = self._new()
        return JobHandle(self._client, self._client.enqueue([new.job()])[0], new.task)

    atrigger = off_loop(trigger)

    def forget(self) -> bool:
        """Drop it from the store; False if it is not there.

        A worker whose code declares it brings it back.
        """
        self._seen = None
        return self._timetable.forget_schedule(self.name)

    aforget = off_loop(forget)

    def _look(self) -> tuple[ScheduleRecord | None, datetime]:
        """Return it as the store has it, and the store's time."""
        if self._seen is not None:
            return self._seen
        timetable = self._timetable.schedules()
        found = (record for record in timetable.schedules if record.new.name == self.name)
        return next(found, None), timetable.now

    def _new(self) -> NewSchedule:
        record, _ = self._look()
        new = self._declared if record is None else record.new
        if new is None:
            raise LookupError(f"schedule {self.name!r} is not in the store any more")
        return new

    def _call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        new = self._new()
        return self._client.codec.decode_call(new.payload, new.task)

    def _make_known(self) -> None:
        if self._declared is not None and self._look()[0] is None:
            self._timetable.declare([self._declared])
