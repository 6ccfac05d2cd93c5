"""The front of an SQL store for another store that takes over what it holds, and for the taking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.sql.catalog import SqlCatalog

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


@leaves_nothing
class PortableSqlStore(SqlCatalog):
    """Gives all that an SQL store holds, and takes it from another. Implements Portable."""

    def export_jobs(self, *, after: int | None, limit: int) -> list[StoredJob]:
        """Return up to `limit` jobs with a key above `after`, by their keys."""
        verbs = self._verbs
        return self._sql.read(
            lambda connection: verbs.export_jobs(connection, after=after, limit=limit)
        )

    def import_jobs(self, jobs: Sequence[StoredJob]) -> list[Arrival]:
        """Keep jobs under their keys; return what became of each."""
        verbs = self._verbs
        lanes = self._sql.numbers({(one.queue, one.task) for one in jobs})
        return self._sql.write(
            lambda connection: verbs.import_jobs(connection, jobs, lanes, self._moment())
        )

    def export_answers(self, *, cursor: str | None, limit: int) -> AnswerPage:
        """Return up to `limit` idempotency keys."""
        verbs = self._verbs
        return self._sql.read(lambda connection: verbs.export_answers(connection, cursor, limit))

    def import_answers(self, answers: Sequence[StoredAnswer]) -> None:
        """Keep idempotency keys."""
        verbs = self._verbs
        self._sql.write(lambda connection: verbs.import_answers(connection, answers))

    def import_schedules(self, schedules: Sequence[ScheduleRecord]) -> int:
        """Keep schedules of whose names there are none; return how many."""
        verbs = self._verbs
        return self._sql.write(lambda connection: verbs.import_schedules(connection, schedules))

    def marks(self) -> StoreMarks:
        """Return the highest numbers that it has given."""
        return self._sql.read(self._verbs.marks)

    def raise_marks(self, wanted: StoreMarks) -> None:
        """Give only higher numbers from now on."""
        verbs = self._verbs
        self._sql.write(lambda connection: verbs.raise_marks(connection, wanted))
