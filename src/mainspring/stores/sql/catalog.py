"""Read access to what an SQL database holds, for views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mainspring.stores.ownership import leaves_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Ended
    from mainspring.model.note import LogLine
    from mainspring.model.time_series import SeriesPage
    from mainspring.model.view import (
        AttemptRecord,
        JobFilter,
        JobRecord,
        LaneRecord,
        LockRecord,
        NodeRecord,
        SearchPage,
    )
    from mainspring.stores.sql.verbs import SqlSession, SqlVerbs


@leaves_nothing
class SqlCatalog(ABC):
    """The part of a store that only reads. Implements Catalog."""

    def __init__(self, session: SqlSession, moment: Callable[[], Any]) -> None:
        self._sql = session
        self._moment = moment

    @cached_property
    def _verbs(self) -> SqlVerbs:
        """The database's own verbs, loaded at the first that is more than an enqueuing."""
        return self._load_verbs()

    @cached_property
    def _loaded(self) -> SqlSession:
        """The session, with the verbs loaded: their import in a turn would hold up others."""
        _ = self._verbs
        return self._sql

    @abstractmethod
    def _load_verbs(self) -> SqlVerbs:
        """Return the module of the database's verbs."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        return self._sql.read(lambda connection: self._verbs.get(connection, job_id))

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        return self._sql.read(lambda connection: self._verbs.history(connection, job_id))

    def log(self, job_id: str) -> list[LogLine]:
        """Return the lines that the job's bodies logged, oldest first."""
        return self._sql.read(lambda connection: self._verbs.log(connection, job_id))

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        return self._sql.read(lambda connection: self._verbs.ended(connection, job_ids))

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        return self._sql.read(self._verbs.stats)

    def jobs(
        self,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 100,
        skip: int = 0,
        oldest_first: bool = False,
    ) -> list[JobRecord]:
        """Return up to `limit` jobs, newest first or oldest first."""
        return self._sql.read(
            lambda connection: self._verbs.jobs(
                connection, wanted, before=before, limit=limit, skip=skip, oldest_first=oldest_first
            )
        )

    def search(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100, most: int
    ) -> SearchPage:
        """Return what `jobs` does among the first `most` jobs or so that it looks through."""
        return self._sql.read(
            lambda connection: self._verbs.search(
                connection, wanted, before=before, limit=limit, most=most
            )
        )

    def lanes(self) -> list[LaneRecord]:
        """Return each task of each queue, with the number of its jobs that wait."""
        return self._sql.read(lambda connection: self._verbs.lanes(connection, self._moment()))

    def paused(self) -> list[str]:
        """Return the names of the paused queues, in order."""
        return self._sql.read(self._verbs.paused)

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        return self._sql.read(lambda connection: self._verbs.nodes(connection, self._moment()))

    def running_by_node(self) -> dict[int, dict[str, int]]:
        """Return how many jobs of each task each node holds."""
        return self._sql.read(self._verbs.running_by_node)

    def locks(self) -> list[LockRecord]:
        """Return the locks that are held, by name."""
        return self._sql.read(self._verbs.locks)

    def entries(
        self,
        kind: str,
        *,
        newer_than: float,
        older_than: float = 0.0,
        before: int | None = None,
        limit: int,
    ) -> SeriesPage:
        """Return up to `limit` entries of these ages, newest first."""
        asked = {"newer_than": newer_than, "older_than": older_than, "moment": self._moment()}
        return self._sql.read(
            lambda connection: self._verbs.entries(
                connection, kind, before=before, limit=limit, **asked
            )
        )
