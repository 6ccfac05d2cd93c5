"""The seam between two stores of which one takes over what the other holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.stored_job import (
        AnswerPage,
        Arrival,
        StoredAnswer,
        StoredJob,
        StoreMarks,
    )
    from mainspring.model.timetable import ScheduleRecord


class Portable(Protocol):
    """All that a store holds as values, page by page, and the same from elsewhere.

    What is imported twice is there once. Nothing that is there is changed by an import, and nobody
    is woken: workers are stopped meanwhile. What has no verb here is read by `Catalog` and
    `Timetable`, and a paused queue is paused.
    """

    def export_jobs(self, *, after: int | None, limit: int) -> list[StoredJob]:
        """Return up to `limit` jobs with a key above `after` (None: any), by their keys.

        One that runs is returned as such, without what it was asked meanwhile.
        """
        ...

    def import_jobs(self, jobs: Sequence[StoredJob]) -> list[Arrival]:
        """Keep jobs, none of which runs, under their keys; return what became of each.

        `THERE`: it was there already, in whatever state. Not kept is one whose key another job has
        (`KEY_TAKEN`), or that is live and bears a unique key of a live job (`UNIQUE_TAKEN`).
        """
        ...

    def export_answers(self, *, cursor: str | None, limit: int) -> AnswerPage:
        """Return about `limit` idempotency keys; some may come twice."""
        ...

    def import_answers(self, answers: Sequence[StoredAnswer]) -> None:
        """Keep idempotency keys; of one that is there, what holds for longer."""
        ...

    def import_schedules(self, schedules: Sequence[ScheduleRecord]) -> int:
        """Keep schedules, as they are, of whose names there are none; return how many."""
        ...

    def marks(self) -> StoreMarks:
        """Return the highest numbers that it has given."""
        ...

    def raise_marks(self, wanted: StoreMarks) -> None:
        """Give only higher numbers than these from now on; none goes back."""
        ...
