"""The intake: threads that enqueue at the same time share one commit, as a group."""

from __future__ import annotations

import sqlite3
import sys
from collections import deque
from typing import TYPE_CHECKING

from mainspring.errors import DuplicateJob, StoreError
from mainspring.faults import fault
from mainspring.stores.clock import MICROS, Moment
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.ownership import Signal
from mainspring.stores.rules.enqueue import is_keyed
from mainspring.stores.sqlite.intake.batch import Batch, settle, share
from mainspring.stores.sqlite.intake.keyed_jobs import keep_keyed
from mainspring.stores.sqlite.intake.plain_jobs import ENQUEUE_ONE, insert, is_ready, rows_of
from mainspring.stores.sqlite.intake.wakeups import wakes_for, wakes_sleepers
from mainspring.stores.wake import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Clock
    from mainspring.stores.sql.lanes import Name
    from mainspring.stores.sqlite.connections.writer import Writer
    from mainspring.stores.sqlite.intake.plain_jobs import Row
    from mainspring.stores.sqlite.rows.lanes import LaneTable


LOOK_SECONDS = 0.1
"""Seconds that a thread waits for its leader before it looks whether that is still there."""

EXISTS = """
SELECT 1 FROM mainspring_jobs WHERE key = :key AND nonce = :nonce
UNION ALL SELECT 1 FROM mainspring_finished WHERE key = :key AND nonce = :nonce
"""


class Intake:
    """Commits batches in groups: the first that waits leads, it commits for all that wait.

    Any of the threads may be interrupted anywhere, a leader too. So nothing here is a lock: a batch
    stays in line until it is settled, whoever commits it, and the leader until it has passed on;
    who waits looks from time to time whether the call of the first still goes on.
    """

    def __init__(
        self, writer: Writer, lanes: LaneTable, clock: Clock, *, notify: Callable[[str], None]
    ) -> None:
        self._writer = writer
        self._lanes = lanes
        self._clock = clock
        self._notify = notify
        self._waiting: deque[Batch] = deque()

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Commit jobs, together with what other threads enqueue meanwhile; return their ids.

        Raises `StoreBusy` in a signal handler that has interrupted a call which others wait for.
        """
        keyed = is_keyed(jobs)
        batch = Batch([] if keyed else self._rows(jobs), jobs if keyed else ())
        # No variable of this frame may hold the frame: that would keep both until a collection.
        batch.frame = sys._getframe()  # noqa: SLF001  # what others tell by that this call goes on
        try:
            self._commit_or_wait(batch)
        except BaseException:
            self._leave(batch)
            raise
        finally:
            batch.frame = None
        return batch.answer()

    def _rows(self, jobs: Sequence[NewJob]) -> list[Row]:
        now = int(self._clock.now() * MICROS)
        try:
            return rows_of(jobs, self._lanes.known.numbers, now)
        except KeyError:  # a lane that is not known yet
            lanes = self._lanes.numbers({(job.queue, job.task) for job in jobs})
            return rows_of(jobs, lanes, now)

    def _commit_or_wait(self, batch: Batch) -> None:
        waiting = self._waiting
        if waiting:
            batch.signal = Signal()
        waiting.append(batch)
        while batch.outcome is None:
            if self._first() is batch:
                self._lead(batch)
            elif batch.signal is None:
                batch.signal = Signal()
            else:
                batch.signal.wait(LOOK_SECONDS)
                if batch.outcome is None:
                    self._look_at_leader(batch)

    def _look_at_leader(self, batch: Batch) -> None:
        """See that the call of the first in line goes on, and waits for nothing of this thread."""
        self._writer.refuse_second_turn()
        leader = self._first()
        if leader is not None and leader is not batch:
            if leader.left():
                self._leave(leader)
            elif leader.is_beneath():
                raise self._writer.busy_with_itself()

    def _first(self) -> Batch | None:
        """Return the first in line; None if the last has just been settled."""
        waiting = self._waiting
        try:
            return waiting[0] if waiting else None
        except IndexError:
            return None

    def _leave(self, batch: Batch) -> None:
        """Remove a batch from the line, and let the first lead."""
        self._take_out(batch)
        if (first := self._first()) is not None:
            first.wake()

    def _take_out(self, batch: Batch) -> None:
        try:
            self._waiting.remove(batch)
        except ValueError:  # it has left already
            return

    def _lead(self, leader: Batch) -> None:
        """Commit what waits."""
        group = [one for one in list(self._waiting) if one.outcome is None]
        try:
            self._commit(group, leader)
        except (StoreError, sqlite3.Error) as error:
            # Each of the group's threads raises it. Another one may be meant for this thread alone.
            for batch in group:
                if batch.outcome is None:
                    batch.outcome = error
        finally:
            self._pass_on(leader, group)

    def _pass_on(self, leader: Batch, group: list[Batch]) -> None:
        """Let a group go; its leader leaves last, since until then nobody else leads."""
        settled = [one for one in group if one is not leader and one.outcome is not None]
        for batch in settled:
            self._take_out(batch)
        self._leave(leader)
        for batch in settled:
            if batch.signal is not None:
                batch.signal.give()

    def _commit(self, group: list[Batch], leader: Batch) -> None:
        # Alone a leader may be interrupted between a commit and its answer, which nobody waits for.
        if group == [leader] and len(leader.rows) == 1 and is_ready(leader.rows[0]):
            wakes = self._commit_one(group[0])
        else:
            wakes = self._commit_group(group)
        if wakes:
            self._notify(topics.READY)

    def _commit_one(self, batch: Batch) -> bool:
        """Commit a job that has come alone and is ready, in one statement; sleepers must wake."""
        fault("during_enqueue")
        key = self._writer.run(ENQUEUE_ONE, batch.rows[0]).lastrowid or 0
        batch.outcome = [format_id(key, batch.rows[0][0])]
        return True

    def _commit_group(self, group: list[Batch]) -> bool:
        keyed = [batch for batch in group if batch.jobs]
        names = {(job.queue, job.task) for batch in keyed for job in batch.jobs}
        lanes = self._lanes.numbers(names) if names else {}
        with self._writer as connection:
            new = [one for one in group if one.mark is None or not was_committed(connection, one)]
            plain = [one for one in new if one.rows] if keyed else new
            wakes = self._insert_rows(connection, plain)
            for batch in keyed:
                if batch.outcome is None:
                    wakes = self._keep(connection, batch, lanes) or wakes
            fault("during_enqueue")
        # Not before the commit: what has an answer is not committed again after an interrupt.
        settle(new)
        return wakes

    def _insert_rows(self, connection: sqlite3.Connection, batches: list[Batch]) -> bool:
        if not batches:
            return False
        rows = [row for batch in batches for row in batch.rows]
        wakes = wakes_sleepers(connection, rows)
        share(insert(connection, rows), batches)
        return wakes

    def _keep(
        self, connection: sqlite3.Connection, batch: Batch, lanes: Mapping[Name, int]
    ) -> bool:
        """Keep a batch that may be refused, and then alone is."""
        try:
            kept = keep_keyed(connection, batch.jobs, lanes, Moment(self._clock))
        except DuplicateJob as refused:
            batch.promised = refused
            return False
        batch.mark, batch.promised = kept.made, kept.ids
        return wakes_for(connection, kept.placed)


def was_committed(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Return whether a leader that was interrupted had committed the batch; then settle it."""
    key, nonce = parse_id(batch.mark or "") or (0, 0)
    if connection.execute(EXISTS, {"key": key, "nonce": nonce}).fetchone() is None:
        return False
    batch.outcome = batch.promised
    return True
