"""Ticks: jobs for schedules, each tick once over all processes.

Those that this process declares, and those that were added at run time, of tasks that it knows.

The store moves a schedule's last tick and takes the tick's jobs in one transaction, by
compare-and-set: of several schedulers one succeeds, and what goes wrong leaves the tick to be made.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.errors import InvalidOption, ScheduleUnreadable
from mainspring.model.events import ScheduleTicked
from mainspring.model.timetable import due_at, next_tick

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from datetime import datetime

    from mainspring.model.events import Event
    from mainspring.model.job import NewJob
    from mainspring.model.timetable import NewSchedule, ScheduleRecord
    from mainspring.protocols import Timetable

log = logging.getLogger("mainspring.engine")

LOOK_SECONDS = 5.0
"""Longest pause between turns, to see what others have added, changed or resumed."""


Unusable = InvalidOption | ScheduleUnreadable
"""A schedule that this process can't tick."""


class Scheduler:
    """Makes the ticks of `schedules`, and of what was added at run time for one of the `tasks`.

    Calls `plan` with the time (monotonic) of the next `turn`, and `enqueued` with the jobs of each
    tick and their ids.
    """

    def __init__(  # noqa: PLR0913  # its ways in and out
        self,
        store: Timetable,
        schedules: Sequence[NewSchedule],
        tasks: Container[str],
        publish: Callable[[Event], None],
        plan: Callable[[float], None],
        *,
        enqueued: Callable[[Sequence[NewJob], Sequence[str]], object] | None = None,
    ) -> None:
        self._store = store
        self._new = tuple(schedules)
        self._tasks = tasks
        self._publish = publish
        self._plan = plan
        self._enqueued = enqueued or _ignore
        self._asked = object()
        """Another one each time that somebody asks for a look."""
        self._declared: tuple[NewSchedule, ...] = ()
        self._removed: set[str] = set()
        self._refused: set[str] = set()

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Make the ticks of these from now on, and look for others; from any thread."""
        if tuple(schedules) != self._new:
            self._new = tuple(schedules)
        self._asked = object()
        self._plan(monotonic())

    def turn(self) -> None:
        """Make every tick that is due, and plan the next turn.

        Raises what the store raises. A rule that this process can't read holds up no other; the
        first time, its error is raised at the end.
        """
        # If anything goes wrong: soon again, at the pace of the restart policy.
        self._plan(monotonic())
        asked, new = self._asked, self._new
        if new is not self._declared:
            # What was removed meanwhile must not come back with a new one.
            self._store.declare([one for one in new if one not in self._declared])
            self._declared = new
        names = {one.name for one in new}
        timetable = self._store.schedules()
        read_at = monotonic()
        self._look_for_removed(names - {record.new.name for record in timetable.schedules})
        refused: Unusable | None = None
        wait = LOOK_SECONDS
        for record in timetable.schedules:
            if record.new.name in names or self._is_added(record):
                try:
                    wait = min(wait, self._tick_if_due(record, timetable.now))
                except (InvalidOption, ScheduleUnreadable) as error:
                    refused = self._first_refusal(record.new.name, error) or refused
        self._plan(read_at + wait)
        if asked is not self._asked:
            # Since the store was read; looked at last, as who asks may do so at any step.
            self._plan(monotonic())
        if refused is not None:
            raise refused

    def _tick_if_due(self, record: ScheduleRecord, now: datetime) -> float:
        """Make the tick of a schedule if one is due; return the seconds until it is due next."""
        if record.paused:
            return LOOK_SECONDS
        due = due_at(record, now)
        if due is not None:
            jobs = [record.new.job()] * due.jobs
            made = self._store.tick(record.new.name, last=record.last_tick, to=due.to, jobs=jobs)
            if made is not None:
                lag = max((now - due.to).total_seconds(), 0.0)
                self._publish(ScheduleTicked(record.new.name, due.to, tuple(made), lag))
                self._enqueued(jobs, made)
        following = next_tick(record, now)
        return LOOK_SECONDS if following is None else (following - now).total_seconds()

    def _is_added(self, record: ScheduleRecord) -> bool:
        return record.new.added and record.new.task in self._tasks

    def _look_for_removed(self, removed: set[str]) -> None:
        for name in removed - self._removed:
            log.warning(
                "schedule %r was removed: it ticks no more, and comes back when a worker starts "
                "whose code still declares it",
                name,
            )
        self._removed = removed

    def _first_refusal(self, name: str, error: Unusable) -> Unusable | None:
        if name in self._refused:
            return None
        self._refused.add(name)
        return error


def _ignore(jobs: Sequence[NewJob], job_ids: Sequence[str]) -> None:
    """Publish nothing of them."""
