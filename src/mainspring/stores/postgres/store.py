"""PostgresStore: an SQL store on a server, for the processes of any number of hosts."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainspring.model.job import Exchanged
from mainspring.stores.clock import SystemClock
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.postgres.address import address_of
from mainspring.stores.postgres.connections.connections import Connections
from mainspring.stores.postgres.connections.statements import ServerMoment
from mainspring.stores.postgres.resume_points import ResumePoints
from mainspring.stores.postgres.session import CommitState, PostgresSession
from mainspring.stores.run_folder import run_folder
from mainspring.stores.sql import forks
from mainspring.stores.sql.store import SqlStore
from mainspring.stores.wake.topics import ends_only, notices_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.job import NewJob, Outcome, Renewed, Want
    from mainspring.stores.clock import Clock
    from mainspring.stores.postgres.connections.statements import Statements
    from mainspring.stores.sql.verbs import SqlVerbs

FEW = 16
"""Outcomes whose notification goes with their commit, where that does not wait for the disk.

Such commits wait for each other. And two at once notify though nobody waits, each for the other's
lock: of many outcomes that would cost more than the way there and back.
"""

_inherited: list[object] = []
"""Connections of a parent process: to forget them would close them for it, too."""


@leaves_nothing
class PostgresStore(SqlStore):
    """Jobs in a schema of a PostgreSQL database. Implements JobStore.

    And `Transactional`, on connections of psycopg, bare or under SQLAlchemy or Django.

    `url` is one of libpq's, with parameters of ours: `schema` (mainspring), `listen_url` (the
    server itself, where `url` leads to a transaction pooler), `listen=false` (idle workers look
    once a second), `auto_migrate=false`, `max_connections` (10). `durability` "normal" may lose
    the last commits when the server crashes. `busy_timeout` is in seconds. It connects at the first
    use; safe to use from any thread, and in a forked child.
    """

    def __init__(
        self,
        url: str,
        *,
        durability: str = "full",
        busy_timeout: float = 30.0,
        auto_migrate: bool = True,
        clock: Clock | None = None,
    ) -> None:
        address = address_of(url, busy_timeout)
        self._address = replace(address, auto_migrate=auto_migrate and address.auto_migrate)
        self._durable = durability == "full"
        self._given_clock = clock
        self._run_dir: Path | None = None
        self._begin_session()
        forks.watch(self)

    @property
    def run_dir(self) -> Path | None:
        """The folder where nodes of this user and host keep lock and board.

        None if it can't be used: then only leases and locks on the server tell who lives.
        """
        if self._run_dir is None:
            self._run_dir = run_folder(self._address.folder)
        return self._run_dir

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        from mainspring.stores.postgres.nodes import LOCKED  # noqa: PLC0415  # a lazy door

        node = super().join(name, host=host, pid=pid, lease=lease, serves=serves)
        if self._session.direct.hold(node):
            self._session.read(lambda connection: connection.execute(LOCKED, {"node": node}))
        return node

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease; None if it has gone."""
        return self._session.read(
            lambda connection: self._verbs.renew(
                connection, node, lease=lease, report=report, moment=self._moment()
            )
        )

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        super().leave(node)
        self._session.direct.let_go(node)

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work, in one round trip if no outcome sends a job back.

        A claim that gets nothing looks again if there may be jobs it was not notified of.
        """
        notifies = not self._durable and len(outcomes) <= FEW and ends_only(outcomes)
        given = self._exchange(node, outcomes, wants, notifies=notifies)
        if outcomes and not notifies:
            for topic, keys in notices_of(outcomes, given.accepted).items():
                self._session.notify(topic, keys=keys)
        wanted = sum(want.limit for want in wants)
        if not wanted or given.lapsed:
            return given
        overlooked = self._session.claimed(full=len(given.claims) >= wanted)
        if given.claims:
            due = 0.0 if overlooked else given.next_due
            return Exchanged(given.accepted, given.claims, due)
        if overlooked or given.next_due == 0.0:
            more = self._exchange(node, (), wants)
            given = Exchanged(given.accepted, more.claims, more.next_due, more.lapsed)
        return given

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick and enqueue jobs; None if that was not its last tick."""
        self._session.forget_keys()  # those of the tick's jobs are above them
        return super().tick(name, last=last, to=to, jobs=jobs)

    def migrate(self) -> None:
        """Bring the schema to this version, also where that is not done by itself."""
        self._session.connections.migrate()

    def examine(self) -> list[Diagnosis]:
        """Look at server, schema, privileges, connections, bloat and old transactions."""
        from mainspring.stores.postgres.examination import examine  # noqa: PLC0415  # a lazy door

        return list(examine(self._session, self._address))

    def begin_anew(self) -> None:
        """Forget what was open, in a forked child: it is the parent's."""
        self._when_dropped.detach()
        _inherited.append(self._session)
        self._begin_session()

    @property
    def session(self) -> PostgresSession:
        """All that is open, which must not cross a fork."""
        return self._session

    def recover(self) -> None:
        """Close the connections that an interrupted call of this thread has left to nobody."""
        self._session.connections.recover()

    def close(self) -> None:
        """Let go of connections; harmless when done twice, and undone by the next use."""
        self._session.close()

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs if and only if the caller's transaction commits."""
        from mainspring.stores.postgres.caller import enqueue_in  # noqa: PLC0415  # a lazy door

        session = self._session
        lanes = session.numbers({(job.queue, job.task) for job in jobs})

        def keep() -> list[str]:
            batch = session.batch(jobs)
            return enqueue_in(self._address, connection, batch, lanes, self._moment())

        return session.by_free_keys(keep)

    def finish_in(self, connection: object, node: int, outcome: Outcome) -> bool:
        """Record an outcome if and only if the caller's transaction commits."""
        from mainspring.stores.postgres.caller import finish_in  # noqa: PLC0415  # a lazy door

        return finish_in(self._address, connection, node, outcome, self._moment())

    def announce(self) -> None:
        """Do nothing: the caller's transaction has notified with its commit."""

    def _load_verbs(self) -> SqlVerbs:
        from mainspring.stores.postgres import verbs  # noqa: PLC0415  # a lazy door

        return verbs

    def _exchange(
        self,
        node: int,
        outcomes: Sequence[Outcome],
        wants: Sequence[Want],
        *,
        notifies: bool = False,
    ) -> Exchanged:
        from mainspring.stores.postgres.claims import exchange  # noqa: PLC0415  # a lazy door

        state = CommitState()

        def work(connection: Statements) -> Exchanged:
            state.committing = True
            return exchange(
                connection,
                node,
                outcomes,
                wants,
                moment=self._moment(),
                resume_points=self._resume_points,
                notifies=notifies,
            )

        return self._session.again(work, state)

    def _begin_session(self) -> None:
        clock, given = self._given_clock or SystemClock(), self._given_clock is not None

        def moment() -> ServerMoment:
            return ServerMoment(clock, given=given)

        connections = Connections(self._address, durable=self._durable)
        self._resume_points = ResumePoints()
        self._session = PostgresSession(self._address, moment, connections)
        super().__init__(self._session, moment)
        self._when_dropped = weakref.finalize(self, self._session.close)
        self._when_dropped.atexit = False
