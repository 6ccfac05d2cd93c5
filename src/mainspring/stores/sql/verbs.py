"""The statements of an SQL store, a function for each verb: what each database has of its own.

A module of such functions stands for this Protocol. Each gets the connection of a transaction that
is open, and a `moment`: the store's time, as its module of verbs reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from mainspring.model.job import (
        Claim,
        Ended,
        Exchanged,
        Grant,
        JobState,
        NewJob,
        Outcome,
        Renewed,
        Rescued,
        Want,
    )
    from mainspring.model.note import LogLine, Note
    from mainspring.model.stored_job import (
        AnswerPage,
        Arrival,
        StoredAnswer,
        StoredJob,
        StoreMarks,
    )
    from mainspring.model.time_series import SeriesPage
    from mainspring.model.timetable import NewSchedule, ScheduleRecord, Timetabled
    from mainspring.model.view import (
        AttemptRecord,
        JobFilter,
        JobRecord,
        LaneRecord,
        LockRecord,
        NodeRecord,
        SearchPage,
    )
    from mainspring.protocols import Listener
    from mainspring.stores.sql.lanes import KnownLanes, Name


T = TypeVar("T")


class SqlSession(Protocol):
    """The connections of one process to one database."""

    @property
    def lanes(self) -> KnownLanes:
        """The lanes that this process knows."""
        ...

    def numbers(self, names: AbstractSet[Name]) -> Mapping[Name, int]:
        """Return the number of each lane; new ones are committed. Not within a transaction."""
        ...

    def read(self, work: Callable[[Any], T]) -> T:
        """Return what `work` reads by a connection."""
        ...

    def write(self, work: Callable[[Any], T]) -> T:
        """Return what `work` does in a transaction.

        It may be called again, after a first transaction was rolled back.
        """
        ...

    def delete(self, work: Callable[[Any], T]) -> T:
        """Return what `work` does in a transaction that deletes, and makes space when it is short.

        It may be called again, as above.
        """
        ...

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, notify, and return their ids."""
        ...

    def notify(self, *topics: str, keys: Collection[int] = ()) -> None:
        """Wake the listeners of the topics; `keys` are those of the jobs it is about."""
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for a topic."""
        ...


class SqlVerbs(Protocol):
    """The verbs. Raise `LeaseLost` and `DuplicateJob` as `Store` says."""

    def join(  # noqa: PLR0913  # each is one value of the verb
        self,
        connection: Any,
        *,
        name: str,
        host: str,
        pid: int,
        lease: float,
        serves: bytes,
        moment: Any,
    ) -> int:
        """Add a node and return its key."""
        ...

    def renew(
        self, connection: Any, node: int, *, lease: float, report: bytes | None, moment: Any
    ) -> Renewed | None:
        """Renew a lease; None if the node has gone."""
        ...

    def leave(self, connection: Any, node: int, moment: Any) -> None:
        """End a node; what it holds goes back, uncharged."""
        ...

    def exchange(  # noqa: PLR0913  # each is one value of the verb
        self,
        connection: Any,
        node: int,
        outcomes: Sequence[Outcome],
        wants: Sequence[Want],
        *,
        lanes: KnownLanes,
        moment: Any,
    ) -> Exchanged:
        """Record outcomes and claim work."""
        ...

    def held(self, connection: Any, node: int, *, lanes: KnownLanes, moment: Any) -> list[Claim]:
        """Return what a node holds."""
        ...

    def rescue(
        self,
        connection: Any,
        node: int,
        *,
        dead: bool,
        begun: Collection[Grant] | None,
        moment: Any,
    ) -> Rescued | None:
        """Release or end a lost node's jobs; None if it is not lost, or has gone already."""
        ...

    def any_orphan(self, connection: Any) -> bool:
        """Return whether a running job has no live node, by reading only."""
        ...

    def rescue_orphans(self, connection: Any, limit: int, moment: Any) -> Rescued:
        """Rescue running jobs of nodes that are not there."""
        ...

    def get(self, connection: Any, job_id: str) -> JobRecord | None:
        """Return a job as it is now."""
        ...

    def history(self, connection: Any, job_id: str) -> list[AttemptRecord]:
        """Return a job's attempts, oldest first."""
        ...

    def log(self, connection: Any, job_id: str) -> list[LogLine]:
        """Return a job's log lines, oldest first."""
        ...

    def ended(self, connection: Any, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the jobs ended that have ended."""
        ...

    def jobs(  # noqa: PLR0913  # the store's
        self,
        connection: Any,
        wanted: JobFilter,
        *,
        before: int | None,
        limit: int,
        skip: int,
        oldest_first: bool,
    ) -> list[JobRecord]:
        """Return the newest or the oldest jobs that fit."""
        ...

    def search(
        self, connection: Any, wanted: JobFilter, *, before: int | None, limit: int, most: int
    ) -> SearchPage:
        """Return the newest jobs that fit among the first `most`."""
        ...

    def stats(self, connection: Any) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        ...

    def lanes(self, connection: Any, moment: Any) -> list[LaneRecord]:
        """Return each lane with the number of its jobs that wait."""
        ...

    def paused(self, connection: Any) -> list[str]:
        """Return the names of the paused queues, in order."""
        ...

    def nodes(self, connection: Any, moment: Any) -> list[NodeRecord]:
        """Return the live nodes."""
        ...

    def running_by_node(self, connection: Any) -> dict[int, dict[str, int]]:
        """Return how many jobs of each task each node holds."""
        ...

    def cancel(self, connection: Any, job_ids: Sequence[str], moment: Any) -> list[bool]:
        """Cancel what waits, mark what runs."""
        ...

    def retry(
        self, connection: Any, job_ids: Sequence[str], payload: bytes | None, moment: Any
    ) -> list[str | None]:
        """Let final jobs wait again."""
        ...

    def reschedule(
        self,
        connection: Any,
        job_ids: Sequence[str],
        *,
        delay: float | None,
        priority: int | None,
        moment: Any,
    ) -> list[bool]:
        """Change when what waits may start, and its priority."""
        ...

    def drop(self, connection: Any, job_ids: Sequence[str]) -> int:
        """Drop final jobs."""
        ...

    def drop_ended(
        self, connection: Any, wanted: JobFilter, *, older_than: float, limit: int, moment: Any
    ) -> int:
        """Drop final jobs that fit and are so old."""
        ...

    def purge(
        self, connection: Any, *, ages: Mapping[JobState, float], limit: int, moment: Any
    ) -> int:
        """Drop final jobs that are older than the age of their state."""
        ...

    def any_late(self, connection: Any, moment: Any) -> bool:
        """Return whether there is anything to expire, by reading only."""
        ...

    def expire(self, connection: Any, limit: int, moment: Any) -> list[int]:
        """Cancel what waits past its expiry; return the keys."""
        ...

    def pause(self, connection: Any, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused."""
        ...

    def resume(self, connection: Any, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        ...

    def note_many(self, connection: Any, notes: Sequence[Note], moment: Any) -> None:
        """Keep progress and log lines."""
        ...

    def declare(self, connection: Any, schedules: Sequence[NewSchedule], moment: Any) -> None:
        """Keep schedules."""
        ...

    def swap_schedule(
        self, connection: Any, new: NewSchedule, *, expected: NewSchedule | None, moment: Any
    ) -> bool:
        """Keep a schedule if what is there under its name is as expected."""
        ...

    def schedules(self, connection: Any, moment: Any) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        ...

    def tick(  # noqa: PLR0913  # each is one value of the verb
        self,
        connection: Any,
        name: str,
        *,
        last: datetime,
        to: datetime,
        jobs: Sequence[NewJob],
        lanes: Mapping[Name, int],
        moment: Any,
    ) -> tuple[list[str], bool] | None:
        """Move a last tick and enqueue jobs; return their ids, and whether to notify."""
        ...

    def pause_schedule(self, connection: Any, name: str) -> bool:
        """Pause a schedule; False if it is unknown or paused."""
        ...

    def resume_schedule(self, connection: Any, name: str, moment: Any) -> bool:
        """Resume a schedule; False if it is unknown or not paused."""
        ...

    def forget_schedule(self, connection: Any, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        ...

    def acquire(self, connection: Any, node: int, name: str, moment: Any) -> int | None:
        """Give a node a lock; None if another has it, or the node's lease has run out."""
        ...

    def release(self, connection: Any, node: int, name: str, fence: int) -> bool:
        """Free a lock, if the node has it with that fence."""
        ...

    def locks(self, connection: Any) -> list[LockRecord]:
        """Return the locks that are held, by name."""
        ...

    def export_jobs(self, connection: Any, *, after: int | None, limit: int) -> list[StoredJob]:
        """Return a page of jobs."""
        ...

    def import_jobs(
        self, connection: Any, jobs: Sequence[StoredJob], lanes: Mapping[Name, int], moment: Any
    ) -> list[Arrival]:
        """Keep jobs that are not there."""
        ...

    def export_answers(self, connection: Any, cursor: str | None, limit: int) -> AnswerPage:
        """Return a page of idempotency keys."""
        ...

    def import_answers(self, connection: Any, answers: Sequence[StoredAnswer]) -> None:
        """Keep idempotency keys."""
        ...

    def import_schedules(self, connection: Any, schedules: Sequence[ScheduleRecord]) -> int:
        """Keep schedules of whose names there are none."""
        ...

    def marks(self, connection: Any) -> StoreMarks:
        """Return the highest numbers that were given."""
        ...

    def raise_marks(self, connection: Any, wanted: StoreMarks) -> None:
        """Have only higher numbers given."""
        ...

    def add_entry(
        self, connection: Any, kind: str, text: bytes, *, ago: float, moment: Any
    ) -> None:
        """Keep a dated text."""
        ...

    def entries(  # noqa: PLR0913  # each is one value of the verb
        self,
        connection: Any,
        kind: str,
        *,
        newer_than: float,
        older_than: float,
        before: int | None,
        limit: int,
        moment: Any,
    ) -> SeriesPage:
        """Return dated texts of these ages, newest first."""
        ...

    def replace_entries(  # noqa: PLR0913  # as above
        self,
        connection: Any,
        kind: str,
        keys: Sequence[int],
        *,
        by: str,
        at: datetime,
        text: bytes,
    ) -> bool:
        """Put one dated text in the place of others, if all of these are there."""
        ...

    def any_old_entry(self, connection: Any, kind: str, older_than: float, moment: Any) -> bool:
        """Return whether there is a dated text to drop, by reading only."""
        ...

    def drop_entries(
        self, connection: Any, kind: str, *, older_than: float, limit: int, moment: Any
    ) -> int:
        """Drop dated texts of that age."""
        ...
