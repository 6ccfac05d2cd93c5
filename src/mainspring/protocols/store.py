"""The seams of a store, each as narrow as its caller needs.

`Store` is what the engine and producers need, `Catalog` what views read, `Controls` what people
ask of jobs and queues, `Journal` what bodies say while they run, `Timetable` when schedules are
due, and `Transactional` what an SQL store does on the caller's own connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mainspring.protocols.locks import Locks  # a base of a class
from mainspring.protocols.portable import Portable  # a base of a class
from mainspring.protocols.time_series import TimeSeries  # a base of a class
from mainspring.protocols.timetable import Timetable  # a base of a class

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.job import (
        Claim,
        Ended,
        Exchanged,
        Grant,
        NewJob,
        Notice,
        Outcome,
        Renewed,
        Rescued,
        Want,
    )
    from mainspring.model.note import LogLine, Note
    from mainspring.model.view import (
        AttemptRecord,
        JobFilter,
        JobRecord,
        LaneRecord,
        NodeRecord,
        SearchPage,
    )


class Listener(Protocol):
    """The waiting side of a store's notifications of one topic.

    One thread waits; any may poke or close.
    """

    def wait(self, timeout: float | None = None) -> Notice | None:
        """Sleep until there may be something new, and return the jobs it is about.

        None: `timeout` seconds have passed (None: without end), or it was poked or closed. What
        was notified since the last wait ends the wait at once.
        """
        ...

    def poke(self) -> None:
        """End the wait, or the next one, without a notice; costs a few microseconds."""
        ...

    def close(self) -> None:
        """End the wait, from any thread, and notify no more."""
        ...

    def for_idle(self) -> Listener | None:
        """Return a second place to wait: while a thread waits there, it is woken instead.

        So a slot that has nothing to do can act on what is new, without a hop from another thread.
        To be asked for before the first wait, and not to be used after `close`; None where the
        store has no such place. A poke of either place ends the wait of that place only.
        """
        ...


class Store(Protocol):
    """Keeps jobs. What the engine and producers need of it.

    Every method is one transaction: all of it holds, or none. Errors: `StoreBusy`,
    `StoreUnusable`, and `StoreUnreachable` for now or `StoreMigrated`, which the store itself tells
    the log: workers go on asking and say nothing. Each verb's statement for SQLite, PostgreSQL and
    Redis stands in docs/decisions/0002-store-verbs.md; the tests that hold a store to this, and how
    to use them, in docs/howto/store.md.
    """

    @property
    def run_dir(self) -> Path | None:
        """Folder in which nodes of this host keep lock and board; None: nodes share this process.

        A folder that is there, and that nobody else can write to.
        """
        ...

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, as durably as the store was asked to, and return their ids in order.

        A job whose idempotency key has been used in the last 24 hours, or whose unique key a live
        job bears, is not kept: the id of that one is returned. What else `NewJob.on_conflict` may
        say: `"raise"` refuses the whole batch with `DuplicateJob`; `"replace"` gives the pending
        job that bears the key the new payload, priority, `run_at` and expiry (`DuplicateJob` if it
        runs). Jobs of one batch meet each other in order. The idempotency key is asked first; it
        stands for whatever job the call was answered with.
        """
        ...

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key.

        `serves` is a JSON text for views: what it runs.
        """
        ...

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease, and learn which of its jobs are to be cancelled.

        None if the node is gone: rescued, or never joined. `report` is a JSON text for views: how
        it is; None leaves the last one.
        """
        ...

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back to pending, uncharged."""
        ...

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction.

        An outcome with a stale fence changes nothing and is answered False; but one that is on
        record already for the same claim is answered True, since its first answer may have been
        lost. Claims come by
        priority, then `run_at`, then order of enqueuing; none from a paused queue. `next_due` is
        of the lanes wanted that are not paused; 0.0 asks to be called again at once. A node that
        is gone raises `LeaseLost`, and changes nothing. One whose lease has run out is not gone
        before somebody has rescued it: its outcomes count, but it claims nothing (`lapsed`).

        A job that was asked to be cancelled never waits again: an outcome (or a leave, or a
        rescue) that would send it back to its lane ends it as cancelled.
        """
        ...

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        ...

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        ...

    def held(self, node: int) -> list[Claim]:
        """Return the claims that a node holds: some may have been granted in an answer it lost.

        A node that is gone raises `LeaseLost`.
        """
        ...

    def rescue(self, node: int, *, dead: bool, begun: Collection[Grant] | None) -> Rescued | None:
        """Release or end a lost node's jobs, and remove the node.

        None if its lease still runs, or somebody was faster.

        `dead` says that its kernel lock is free, so that the lease need not have run out. `begun`
        holds (key, fence) of each body that had begun: only those are charged a crash; None: the
        board can't be read, and all are charged.
        """
        ...

    def rescue_orphans(self, *, limit: int) -> Rescued | None:
        """Rescue up to `limit` running jobs of nodes that are not there; None if there are none.

        No verb leaves such a job: somebody else has written its row. It is treated as one of a dead
        node whose board can't be read. The look for them is not free, and meant for every minute.
        """
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"` (work to claim), `"ended"` (jobs), `"orders"` or `"locks"` (freed).

        Orders are what `renew` brings back. Notices of `"ended"` name the jobs where the store can:
        then who waits for other jobs need not ask for them.
        """
        ...

    def close(self) -> None:
        """Close files and connections; harmless when done twice, undone by the next use."""
        ...


class Catalog(Protocol):
    """Read access to a store, for views."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        ...

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        ...

    def log(self, job_id: str) -> list[LogLine]:
        """Return the lines that the job's bodies logged, oldest first."""
        ...

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        ...

    def jobs(
        self,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 100,
        skip: int = 0,
        oldest_first: bool = False,
    ) -> list[JobRecord]:
        """Return up to `limit` jobs, newest first; `before` is the key after which a page begins.

        `skip`: without the first so many. `oldest_first`: the other way round; `before` is then the
        key that all of the page are above. `JobFilter.search` looks through all jobs that the other
        fields leave, newest first and with no `skip`: see `search`.
        """
        ...

    def search(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100, most: int
    ) -> SearchPage:
        """Return what `jobs` does among the first `most` jobs or so that it looks through."""
        ...

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state; a queue without jobs may be absent."""
        ...

    def lanes(self) -> list[LaneRecord]:
        """Return each task of each queue, with the number of its jobs that wait and their age."""
        ...

    def paused(self) -> list[str]:
        """Return the names of the paused queues, in order."""
        ...

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        ...

    def running_by_node(self) -> dict[int, dict[str, int]]:
        """Return how many jobs of each task each node holds, by its key; none: it may be absent."""
        ...


class Controls(Protocol):
    """Controls of jobs and queues, for operators. Each method is one transaction."""

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live.

        A pending job is cancelled at once. A running one is marked, and its node learns of it by
        `renew`; it may still complete or fail, but never waits again.
        """
        ...

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each.

        None for a job that is unknown or in another state. It starts with no attempts, no crashes,
        no expiry and `run_at` now, its history stays, and `payload` takes the place of its
        arguments. If a live job bears its unique key, nothing changes, and that job's id is
        returned.
        """
        ...

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Change when pending jobs may start, and their priority; return for each if it waited.

        `delay` is seconds from now; with 0.0 a job is ready at once, and one that was due before
        stays so. None leaves what it is for. Nothing else of a job changes: it keeps its attempts,
        crashes, keys and expiry.
        """
        ...

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs with all that is known of them; return how many."""
        ...

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many.

        Cancelled jobs are kept as long as completed ones. A completed job whose outcome said how
        long to `keep` it goes by that instead. Idempotency keys older than 24 hours go, too.
        """
        ...

    def drop_ended(self, wanted: JobFilter, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` final jobs that fit and ended so many seconds ago; return how many.

        The oldest of each task in a queue go first. `JobFilter.search` and `tag` are not looked at.
        """
        ...

    def expire(self, *, limit: int) -> list[int]:
        """Cancel up to `limit` pending jobs whose expiry has passed; return their keys."""
        ...

    def pause(self, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused already."""
        ...

    def resume(self, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        ...


class Journal(Protocol):
    """Progress and log lines that bodies report while they run."""

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep progress and log lines; a note whose fence is not the job's last is dropped."""
        ...


class Examinable(Protocol):
    """A store that can examine itself."""

    def examine(self) -> list[Diagnosis]:
        """Return how its parts are, most basic first; changes nothing."""
        ...


class Migratable(Protocol):
    """A store whose tables may be left to somebody else to migrate."""

    def migrate(self) -> None:
        """Bring the tables to this version; harmless if they are."""
        ...


class JobStore(
    Store, Catalog, Controls, Journal, Timetable, Locks, TimeSeries, Portable, Examinable, Protocol
):
    """All that a Queue stands on."""


@runtime_checkable
class Transactional(Protocol):
    """Access of an SQL store to the caller's connection, in the transaction that is open there.

    It neither begins nor commits. Raises `InvalidConnection` for a connection of another kind, to
    another database, or without an open transaction.
    """

    def enqueue_in(self, connection: Any, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs as `Store.enqueue_many` does, if and only if the transaction commits."""
        ...

    def finish_in(self, connection: Any, node: int, outcome: Outcome) -> bool:
        """Record an outcome as `Store.exchange` does, if and only if the transaction commits."""
        ...

    def announce(self) -> None:
        """Wake who sleeps: such a transaction has committed."""
        ...
