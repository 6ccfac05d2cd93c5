"""SqliteStore: an SQL store in a file, with its folder, forks and the caller's connection."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainspring.errors import InvalidOption, LeaseLost
from mainspring.stores.clock import Moment, SystemClock
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.rules.keeping import ages
from mainspring.stores.sql import forks
from mainspring.stores.sql.store import SqlStore
from mainspring.stores.sqlite.connections.writer import Writer
from mainspring.stores.sqlite.file.database import DatabaseFile
from mainspring.stores.sqlite.intake.keyed_jobs import enqueue_into
from mainspring.stores.sqlite.session import Session
from mainspring.stores.wake.topics import ENDED, READY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.job import Exchanged, NewJob, Outcome, Want
    from mainspring.stores.clock import Clock
    from mainspring.stores.sql.verbs import SqlVerbs

DURABILITIES = ("full", "normal")


@leaves_nothing
class SqliteStore(SqlStore):
    """Jobs in a SQLite file, shared by the processes of one host. Implements JobStore.

    And `Transactional`, on connections of Python's sqlite3, bare or under SQLAlchemy.

    `durability` "full" has every commit on the disk before the call returns; "normal" can lose the
    last commits to a power cut, though to nothing less. `busy_timeout` is in seconds. The file is
    opened at the first use; safe to use from any thread, and in a forked child. Without
    `auto_migrate` it must have our tables already, see `migrate`; without `wal` it keeps the
    journal mode that it has.
    """

    def __init__(  # noqa: PLR0913  # the options of a file
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "full",
        busy_timeout: float = 30.0,
        auto_migrate: bool = True,
        wal: bool = True,
        clock: Clock | None = None,
    ) -> None:
        check_options(path, durability, busy_timeout)
        given = Path(path).absolute()
        self._file = DatabaseFile(
            path=Path(os.path.realpath(given)),
            full=durability == "full",
            busy_timeout=busy_timeout,
            given=str(given),
            auto_migrate=auto_migrate,
            keeps_mode=not wal,
        )
        self._clock = clock or SystemClock()
        self._begin_session()
        forks.watch(self)

    @property
    def run_dir(self) -> Path:
        """The folder beside the file where nodes keep lock and board; made, if it is missing."""
        self._session.writer.ready()
        return self._file.run_dir

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        # Before there are threads that need it: a Ctrl-C that meets an import which waits for that
        # of another thread can leave the interpreter's own lock of imports taken, for ever.
        import mainspring.stores.wake.socket_listener  # noqa: F401, PLC0415  # a lazy door

        node = super().join(name, host=host, pid=pid, lease=lease, serves=serves)
        self._session.reserve.take()
        return node

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction.

        With neither outcomes nor anything to claim it only reads. After a notice it does not look
        first: then there is something, and the look would cost as much as half of the claim.
        """
        if not self._session.take_notice() and not outcomes:
            from mainspring.stores.sqlite.claims.wants import empty_answer_for  # noqa: PLC0415  # a lazy door

            lanes, moment = self._session.lanes, Moment(self._clock)
            none = self._session.read(
                lambda connection: empty_answer_for(
                    connection, node, wants, lanes=lanes, moment=moment
                )
            )
            if none is not None:
                return none
        return super().exchange(node, outcomes, wants)

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        from mainspring.stores.sqlite.purge import any_due  # noqa: PLC0415  # a lazy door

        kept = {"completed_after": completed_after, "failed_after": failed_after}
        moment = Moment(self._clock)
        due = self._session.read(
            lambda connection: any_due(connection, ages=ages(**kept), moment=moment)
        )
        dropped = super().purge(**kept, limit=limit) if due else 0
        self._session.reserve.take()
        if dropped < limit:
            self._session.writer.fold_long_log()
        return dropped

    def migrate(self) -> None:
        """Bring the tables to this version, also where that is not done by itself."""
        writer = Writer(replace(self._file, auto_migrate=True))
        try:
            writer.ready()
        finally:
            writer.close()

    def examine(self) -> list[Diagnosis]:
        """Look at the file, its disk, library, schema, log, locks and clock."""
        from mainspring.stores.sqlite.file.examination import examine  # noqa: PLC0415  # a lazy door

        return list(examine(self._file, Moment(self._clock).micros))

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

    def close(self) -> None:
        """Close files and connections; harmless when done twice, and undone by the next use."""
        self._session.close()

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs if and only if the caller's transaction commits."""
        from mainspring.stores.sqlite.connections.caller_connection import (  # noqa: PLC0415  # a lazy door
            in_savepoint,
        )

        moment = Moment(self._clock)
        names = {(job.queue, job.task) for job in jobs}

        def keep(caller: sqlite3.Connection) -> list[str]:
            lanes = self._session.as_seen_by(caller, names)
            return enqueue_into(caller, jobs, lanes, moment).ids

        return in_savepoint(self._file, connection, keep)

    def finish_in(self, connection: object, node: int, outcome: Outcome) -> bool:
        """Record an outcome if and only if the caller's transaction commits."""
        from mainspring.stores.sqlite import nodes  # noqa: PLC0415  # a lazy door
        from mainspring.stores.sqlite.connections.caller_connection import (  # noqa: PLC0415  # a lazy door
            in_savepoint,
        )
        from mainspring.stores.sqlite.transitions.outcomes import record_each  # noqa: PLC0415  # a lazy door

        def finish(caller: sqlite3.Connection) -> bool:
            if caller.execute(nodes.LIVE, (node,)).fetchone() is None:
                raise LeaseLost(nodes.name_of(caller, node))
            grant = outcome.key, outcome.fence
            return not record_each(caller, node, {grant: outcome}, Moment(self._clock))

        return in_savepoint(self._file, connection, finish)

    def announce(self) -> None:
        """Wake who sleeps: such a transaction has committed."""
        self._session.notify(READY, ENDED)
        # Where nobody works, nobody else would.
        self._session.writer.committed_elsewhere()

    def _load_verbs(self) -> SqlVerbs:
        from mainspring.stores.sqlite import verbs  # noqa: PLC0415  # a lazy door

        return verbs

    def _begin_session(self) -> None:
        clock = self._clock
        self._session = Session(self._file, clock)
        super().__init__(self._session, lambda: Moment(clock))
        # Who drops a store without closing it must leave no connection and no lock file open. Not
        # at exit: then a thread that never goes on may be in the midst of a turn.
        self._when_dropped = weakref.finalize(self, self._session.close)
        self._when_dropped.atexit = False


def check_options(path: str | os.PathLike[str], durability: str, busy_timeout: float) -> None:
    """Refuse options that make no sense."""
    if os.fspath(path) in ("", ":memory:"):
        raise InvalidOption(
            "path", path, owner="SqliteStore", expected="a file, or Queue('memory://')"
        )
    if durability not in DURABILITIES:
        raise InvalidOption(
            "durability", durability, owner="SqliteStore", expected='"full" or "normal"'
        )
    if busy_timeout <= 0:
        raise InvalidOption(
            "busy_timeout", busy_timeout, owner="SqliteStore", expected="seconds above 0"
        )
