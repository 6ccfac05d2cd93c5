"""SqliteStore: the front of the folder. It says who does what, and rings when it is done."""

from __future__ import annotations

import os
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption, LeaseLost
from mainspring.faults import fault
from mainspring.model.job import Exchanged
from mainspring.model.timetable import Timetabled
from mainspring.stores.clock import Moment, SystemClock, as_datetime
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.rules.keeping import ages
from mainspring.stores.sqlite import controls, forks, journal, nodes, timetable
from mainspring.stores.sqlite.catalog import listing, queues
from mainspring.stores.sqlite.catalog.history import ended, history, stats
from mainspring.stores.sqlite.catalog.nodes import live_nodes
from mainspring.stores.sqlite.catalog.records import by_id, parameters_of
from mainspring.stores.sqlite.catalog.search import search
from mainspring.stores.sqlite.claims.wants import claim_for, empty_answer_for, held_claims
from mainspring.stores.sqlite.connections.caller_connection import in_savepoint
from mainspring.stores.sqlite.file.database import DatabaseFile
from mainspring.stores.sqlite.file.examination import examine
from mainspring.stores.sqlite.intake.transaction import enqueue_into
from mainspring.stores.sqlite.intake.wakeups import wakes_for
from mainspring.stores.sqlite.purge import any_due, purge
from mainspring.stores.sqlite.session import Session
from mainspring.stores.sqlite.transitions.outcomes import record, record_each
from mainspring.stores.wake.topics import ENDED, ORDERS, READY, topics_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.job import Claim, Ended, Grant, NewJob, Outcome, Renewed, Rescued, Want
    from mainspring.model.note import LogLine, Note
    from mainspring.model.timetable import NewSchedule
    from mainspring.model.view import (
        AttemptRecord,
        JobFilter,
        JobRecord,
        LaneRecord,
        NodeRecord,
        SearchPage,
    )
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock

DURABILITIES = ("full", "normal")


@leaves_nothing
class SqliteStore:
    """Jobs in a SQLite file, shared by the processes of one host. Implements JobStore.

    And `Transactional`, on connections of Python's sqlite3, bare or under SQLAlchemy.

    `durability` "full" has every commit on the disk before the call returns; "normal" can lose the
    last commits to a power cut, though to nothing less. `busy_timeout` is in seconds. The file is
    opened at the first use; safe to use from any thread, and in a forked child.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "full",
        busy_timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        check_options(path, durability, busy_timeout)
        given = Path(path).absolute()
        self._file = DatabaseFile(
            path=Path(os.path.realpath(given)),
            full=durability == "full",
            busy_timeout=busy_timeout,
            given=str(given),
        )
        self._clock = clock or SystemClock()
        self._begin_session()
        forks.watch(self)

    @property
    def run_dir(self) -> Path:
        """The folder beside the file where nodes keep lock and board; made, if it is missing."""
        self._session.writer.ready()
        return self._file.run_dir

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        return self._session.intake.enqueue(jobs) if jobs else []

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        moment = Moment(self._clock)
        row = (name, host, pid, moment.micros, moment.after(lease), serves.decode())
        node = self._session.writer.run(nodes.JOIN, row).lastrowid or 0
        self._session.reserve.take()
        return node

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease; None if it has gone."""
        with self._session.writer as connection:
            until = Moment(self._clock).after(lease)
            return nodes.renew(connection, node, until=until, report=report)

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        with self._session.writer as connection:
            nodes.leave(connection, node, Moment(self._clock))
        self._session.ring(READY, ENDED)

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction; only read if there is neither."""
        lanes = self._session.lanes
        # After a ring there is work, and a look would cost half as much as the claim.
        if not self._session.take_ring() and not outcomes:
            with self._session.readers.lend() as connection:
                moment = Moment(self._clock)
                if none := empty_answer_for(connection, node, wants, lanes=lanes, moment=moment):
                    return none
        with self._session.writer as connection:
            moment = Moment(self._clock)
            accepted = record(connection, node, outcomes, moment)
            given = claim_for(connection, node, wants, lanes=lanes, moment=moment)
        self._session.ring(*topics_of(outcomes, accepted))
        return Exchanged(accepted, given.claims, given.next_due, given.lapsed)

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def held(self, node: int) -> list[Claim]:
        """Return the claims that a node holds."""
        moment = Moment(self._clock)
        with self._session.readers.lend() as connection:
            return held_claims(connection, node, lanes=self._session.lanes, moment=moment)

    def rescue(self, node: int, *, dead: bool, begun: Collection[Grant] | None) -> Rescued | None:
        """Take a lost node's jobs from it; None if its lease still runs, or it has gone already."""
        with self._session.writer as connection:
            moment = Moment(self._clock)
            evidence = nodes.evidence_against(connection, node, dead=dead, moment=moment)
            if evidence is None:
                return None
            rescued = nodes.rescue(connection, node, begun=begun, evidence=evidence, moment=moment)
        self._session.ring(READY)
        if rescued.failed or rescued.cancelled:
            self._session.ring(ENDED)
        return rescued

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        aged = ages(completed_after=completed_after, failed_after=failed_after)
        moment = Moment(self._clock)
        with self._session.readers.lend() as connection:
            due = any_due(connection, ages=aged, moment=moment)
        drop_due = partial(purge, ages=aged, moment=moment, limit=limit)
        dropped = self._session.freeing(drop_due) if due else 0
        self._session.reserve.take()
        if dropped < limit:
            self._session.writer.fold_long_log()
        return dropped

    def begin_anew(self) -> None:
        """Forget what was open, in a forked child: its threads and connections are the parent's."""
        self._when_dropped.detach()
        self._begin_session()

    @property
    def session(self) -> Session:
        """All that is open, which must not cross a fork."""
        return self._session

    def recover(self) -> None:
        """Undo what a call of this thread has left that an exception has ended."""
        self._session.recover()

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"` (work to claim), `"ended"` (jobs that ended) or `"orders"`."""
        return self._session.listen(topic)

    def close(self) -> None:
        """Let go of files and connections; harmless when done twice, and undone by the next use."""
        self._session.close()

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        with self._session.readers.lend() as connection:
            return by_id(connection, job_id)

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        with self._session.readers.lend() as connection:
            return history(connection, job_id)

    def log(self, job_id: str) -> list[LogLine]:
        """Return the lines that the job's bodies logged, oldest first."""
        with self._session.readers.lend() as connection:
            return journal.log(connection, parameters_of(job_id))

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        with self._session.readers.lend() as connection:
            return ended(connection, job_ids)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        with self._session.readers.lend() as connection:
            return stats(connection)

    def jobs(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100
    ) -> list[JobRecord]:
        """Return up to `limit` jobs, newest first. What it costs: see `catalog.listing`."""
        if wanted.search is not None:
            return self.search(wanted, before=before, limit=limit, most=listing.NEWEST).records
        with self._session.readers.lend() as connection:
            return listing.jobs(connection, wanted, before=before, limit=limit)

    def search(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100, most: int
    ) -> SearchPage:
        """Return what `jobs` does among the first `most` jobs or so that it looks through."""
        with self._session.readers.lend() as connection:
            return search(connection, wanted, before=before, limit=limit, most=most)

    def lanes(self) -> list[LaneRecord]:
        """Return each task of each queue, with the number of its jobs that wait."""
        with self._session.readers.lend() as connection:
            return queues.lanes(connection)

    def paused(self) -> list[str]:
        """Return the names of the paused queues, in order."""
        with self._session.readers.lend() as connection:
            return queues.paused(connection)

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        with self._session.readers.lend() as connection:
            return live_nodes(connection, Moment(self._clock).micros)

    def examine(self) -> list[Diagnosis]:
        """Look at the file, its disk, library, schema, log, locks and clock."""
        return list(examine(self._file, Moment(self._clock).micros))

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live."""
        moment = Moment(self._clock)
        live = self._session.freeing(lambda writer: controls.cancel(writer, job_ids, moment))
        if any(live):
            self._session.ring(ENDED, ORDERS)
        return live

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        with self._session.writer as connection:
            live = controls.retry(connection, job_ids, payload, Moment(self._clock))
        self._session.ring(READY)
        return live

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs with all that is known of them; return how many."""
        return self._session.freeing(lambda writer: controls.drop_final(writer, job_ids))

    def drop_ended(self, wanted: JobFilter, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` final jobs that fit and ended so many seconds ago; return how many."""
        before = Moment(self._clock).after(-older_than)
        drop = partial(controls.drop_ended, wanted=wanted, before=before, limit=limit)
        return self._session.freeing(drop)

    def expire(self, *, limit: int) -> int:
        """Cancel up to `limit` pending jobs whose expiry has passed; return how many."""
        moment = Moment(self._clock)
        with self._session.readers.lend() as connection:
            if not controls.any_late(connection, moment):
                return 0
        with self._session.writer as connection:
            expired = controls.expire(connection, limit, moment)
        if expired:
            self._session.ring(ENDED)
        return expired

    def pause(self, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused already."""
        return self._session.writer.run(controls.PAUSE, (queue,)).rowcount == 1

    def resume(self, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        resumed = self._session.writer.run(controls.RESUME, (queue,)).rowcount == 1
        self._session.ring(READY)
        return resumed

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep progress and log lines; a note whose fence is not the job's last is dropped."""
        if notes:
            with self._session.writer as connection:
                journal.note(connection, notes, Moment(self._clock))

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name."""
        with self._session.writer as connection:
            timetable.declare(connection, schedules, Moment(self._clock))

    def schedules(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        now = as_datetime(Moment(self._clock).micros)
        with self._session.readers.lend() as connection:
            return Timetabled(now, timetable.schedules(connection))

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick and enqueue jobs; None if that was not its last tick."""
        lanes = self._session.lanes.numbers([(job.queue, job.task) for job in jobs])
        with self._session.writer as connection:
            if not timetable.advance(connection, name, last, to):
                return None
            kept = enqueue_into(connection, jobs, lanes, Moment(self._clock))
            news = wakes_for(connection, kept.placed)
            fault("during_tick")
        if news:
            self._session.ring(READY)
        return kept.ids

    def pause_schedule(self, name: str) -> bool:
        """Tick no more; False if it is unknown or paused already."""
        return self._session.writer.run(timetable.PAUSE, (name,)).rowcount == 1

    def resume_schedule(self, name: str) -> bool:
        """Tick again, from now on; False if it is unknown or not paused."""
        now = Moment(self._clock).micros
        return self._session.writer.run(timetable.RESUME, (now, name)).rowcount == 1

    def forget_schedule(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        return self._session.writer.run(timetable.FORGET, (name,)).rowcount == 1

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs if and only if the caller's transaction commits."""
        moment = Moment(self._clock)
        names = {(job.queue, job.task) for job in jobs}

        def keep(caller: sqlite3.Connection) -> list[str]:
            lanes = self._session.lanes.as_seen_by(caller, names)
            return enqueue_into(caller, jobs, lanes, moment).ids

        return in_savepoint(self._file, connection, keep)

    def finish_in(self, connection: object, node: int, outcome: Outcome) -> bool:
        """Record an outcome if and only if the caller's transaction commits."""

        def finish(caller: sqlite3.Connection) -> bool:
            if caller.execute(nodes.LIVE, (node,)).fetchone() is None:
                raise LeaseLost(nodes.name_of(caller, node))
            grant = outcome.key, outcome.fence
            return not record_each(caller, node, {grant: outcome}, Moment(self._clock))

        return in_savepoint(self._file, connection, finish)

    def announce(self) -> None:
        """Wake who sleeps: such a transaction has committed."""
        self._session.ring(READY, ENDED)
        # Where nobody works, nobody else would.
        self._session.writer.committed_elsewhere()

    def _begin_session(self) -> None:
        self._session = Session(self._file, self._clock)
        # Who drops a store without closing it must leave no connection and no lock file open. Not
        # at exit: then a thread that never goes on may be in the midst of a turn.
        self._when_dropped = weakref.finalize(self, self._session.close)
        self._when_dropped.atexit = False


def check_options(path: str | os.PathLike[str], durability: str, busy_timeout: float) -> None:
    """Refuse options that make no sense."""
    if os.fspath(path) in ("", ":memory:"):
        raise InvalidOption(
            "path", path, owner="SqliteStore", expected="a file, or use MemoryStore"
        )
    if durability not in DURABILITIES:
        raise InvalidOption(
            "durability", durability, owner="SqliteStore", expected='"full" or "normal"'
        )
    if busy_timeout <= 0:
        raise InvalidOption(
            "busy_timeout", busy_timeout, owner="SqliteStore", expected="seconds above 0"
        )
