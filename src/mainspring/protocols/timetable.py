"""The seam of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.job import NewJob
    from mainspring.model.timetable import NewSchedule, Timetabled


class Timetable(Protocol):
    """Schedules, and the one tick that each moment gets. Instants are aware UTC."""

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name.

        A new one is anchored at the store's now, which also counts as its last tick. A known one
        takes the new rule, task and options, keeps anchor and pause, and its last tick never goes
        back; a new rule counts from now, so that it has missed nothing.
        """
        ...

    def swap_schedule(self, new: NewSchedule, *, expected: NewSchedule | None) -> bool:
        """Keep a schedule as `declare` does, if what is there under its name is `expected`.

        None: nothing is there. False, and nothing changes, if it is something else.
        """
        ...

    def schedules(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        ...

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick from `last` to `to` and enqueue jobs, in one transaction.

        Returns their ids; None, and nothing is enqueued, if its last tick is not `last` (any more),
        or if it is paused or unknown.
        """
        ...

    def pause_schedule(self, name: str) -> bool:
        """Tick no more; False if it is unknown or paused already."""
        ...

    def resume_schedule(self, name: str) -> bool:
        """Tick again, from now on; False if it is unknown or not paused."""
        ...

    def forget_schedule(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        ...
