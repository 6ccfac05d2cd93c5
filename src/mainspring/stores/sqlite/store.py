"""SqliteStore: the front of the folder. It says who does what, and rings when it is done."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption, LeaseLost
from mainspring.model.job import Exchanged
from mainspring.stores.clock import Moment, SystemClock
from mainspring.stores.sqlite import catalog, nodes
from mainspring.stores.sqlite.claims import claim, claim_of, promote, take, waiting
from mainspring.stores.sqlite.database import DatabaseFile
from mainspring.stores.sqlite.look import NO_LOOK, Look, look_at
from mainspring.stores.sqlite.outcomes import record
from mainspring.stores.sqlite.purge import purge
from mainspring.stores.sqlite.session import Session
from mainspring.stores.topics import ENDED, READY, topics_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from mainspring.model.job import (
        AttemptRecord,
        Claim,
        Ended,
        JobRecord,
        NewJob,
        NodeRecord,
        Outcome,
        Rescued,
        Want,
    )
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock

DURABILITIES = ("full", "normal")

PULSE = """
SELECT
  EXISTS (SELECT 1 FROM nodes WHERE node = ? AND ended_at IS NULL),
  (SELECT max(lane) FROM lanes),
  EXISTS (SELECT 1 FROM jobs INDEXED BY scheduled WHERE state = 1)
"""


class SqliteStore:
    """Jobs in a SQLite file, shared by the processes of one host. Implements Store and Catalog.

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
        self._file = DatabaseFile(
            path=Path(path).absolute(), full=durability == "full", busy_timeout=busy_timeout
        )
        self._clock = clock or SystemClock()
        self._session = Session(self._file, self._clock)
        _stores.add(self)

    @property
    def run_dir(self) -> Path:
        """The folder beside the file where nodes keep lock and board."""
        return self._file.run_dir

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        return self._session.intake.enqueue(jobs) if jobs else []

    def join(self, name: str, *, host: str, pid: int, lease: float) -> int:
        """Add a node with a lease of so many seconds; return its key."""
        moment = Moment(self._clock)
        row = (name, host, pid, moment.micros, moment.after(lease))
        return self._session.writer.run(nodes.JOIN, row).lastrowid or 0

    def renew(self, node: int, *, lease: float) -> bool:
        """Renew a node's lease; False if it has gone."""
        until = Moment(self._clock).after(lease)
        return self._session.writer.run(nodes.RENEW, (until, node)).rowcount == 1

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        with self._session.writer as connection:
            nodes.leave(connection, node, Moment(self._clock))
        self._session.ring(READY)

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction."""
        with self._session.writer as connection:
            moment = Moment(self._clock)
            accepted = record(connection, node, outcomes, moment)
            look = self._look_for(wants)
            delayed, changed, first = self._feel_pulse(connection, node, look)
            if look.whole and not delayed and not changed:
                rows = take(connection, node, waiting.decode(f"[{first or ''}]"), moment)
                claims = [claim_of(row, self._session.lanes) for row in rows]
                next_due = None
            else:
                next_due = promote(connection, self._lanes(wants), moment) if delayed else None
                claims = self._claim_each(connection, node, wants, moment)
        self._tell(outcomes, accepted)
        return Exchanged(accepted=accepted, claims=claims, next_due=next_due)

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def rescue(
        self, node: int, *, dead: bool, begun: Collection[tuple[int, int]] | None
    ) -> Rescued | None:
        """Take a lost node's jobs from it; None if its lease still runs, or it has gone already."""
        with self._session.writer as connection:
            moment = Moment(self._clock)
            evidence = nodes.evidence_against(connection, node, dead=dead, moment=moment)
            if evidence is None:
                return None
            rescued = nodes.rescue(connection, node, begun=begun, evidence=evidence, moment=moment)
        self._session.ring(READY)
        if rescued.failed:
            self._session.ring(ENDED)
        return rescued

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        with self._session.writer as connection:
            moment = Moment(self._clock)
            dropped = purge(
                connection,
                completed_before=moment.after(-completed_after),
                failed_before=moment.after(-failed_after),
                limit=limit,
            )
        if dropped < limit:
            self._session.writer.fold_log()
        return dropped

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"` (work to claim) or `"ended"` (jobs that ended)."""
        return self._session.listen(topic)

    def close(self) -> None:
        """Let go of files and connections; harmless when done twice, and undone by the next use."""
        self._session.close()

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        with self._session.readers.lend() as connection:
            return catalog.get(connection, job_id)

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        with self._session.readers.lend() as connection:
            return catalog.history(connection, job_id)

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        with self._session.readers.lend() as connection:
            return catalog.ended(connection, job_ids)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        with self._session.readers.lend() as connection:
            return catalog.stats(connection)

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        with self._session.readers.lend() as connection:
            return catalog.nodes(connection, Moment(self._clock).micros)

    def _look_for(self, wants: Sequence[Want]) -> Look:
        """Return the look that shows all that can be claimed; an empty one if none does."""
        if len(wants) != 1:
            return NO_LOOK
        return look_at(self._session.lanes.matching(wants[0]), wants[0].limit)

    def _feel_pulse(
        self, connection: sqlite3.Connection, node: int, look: Look
    ) -> tuple[bool, bool, str | None]:
        """Refuse a node that has gone; return whether jobs are delayed or lanes new, and the look.

        It learns of new lanes. Pulse and look are one statement, since each costs 20 µs.
        """
        row = connection.execute(look.behind(PULSE), (node, *look.parameters)).fetchone()
        live, last_lane, delayed, first = row
        if not live:
            raise LeaseLost(nodes.name_of(connection, node))
        changed = not self._session.lanes.up_to(last_lane)
        if changed:
            self._session.lanes.learn(connection)
        return bool(delayed), changed, first

    def _lanes(self, wants: Sequence[Want]) -> list[int]:
        matching = self._session.lanes.matching
        return sorted({lane for want in wants for lane in matching(want)})

    def _claim_each(
        self, connection: sqlite3.Connection, node: int, wants: Sequence[Want], moment: Moment
    ) -> list[Claim]:
        known = self._session.lanes
        rows = [
            row
            for want in wants
            for row in claim(
                connection, node, lanes=known.matching(want), limit=want.limit, moment=moment
            )
        ]
        return [claim_of(row, known) for row in rows]

    def _tell(self, outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> None:
        """Wake who waits for these jobs to end, or for those that may be claimed again."""
        for topic in topics_of(outcomes, accepted):
            self._session.ring(topic)


_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_suspended: list[Session] = []


def _before_fork() -> None:
    """Close what must not cross a fork."""
    for store in list(_stores):
        store._session.suspend()  # noqa: SLF001  # the other half of this class
        _suspended.append(store._session)  # noqa: SLF001


def _after_fork() -> None:
    """Let both sides open again."""
    while _suspended:
        _suspended.pop().resume()


def _after_fork_in_child() -> None:
    """Begin anew in the child, where the threads of the old session are gone."""
    _after_fork()
    for store in list(_stores):
        store._session = Session(store._file, store._clock)  # noqa: SLF001


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)


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
