"""The intake: threads that enqueue at the same time share one commit, as a group."""

from __future__ import annotations

import sqlite3
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.errors import DuplicateJob, StoreError
from mainspring.faults import fault
from mainspring.stores.clock import Moment
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

_LEAD = "lead"

EXISTS = """
SELECT 1 FROM jobs WHERE key = :key AND nonce = :nonce
UNION ALL SELECT 1 FROM finished WHERE key = :key AND nonce = :nonce
"""


class Intake:
    """Commits batches in groups: whoever finds nobody leading commits for all that wait.

    Any of the threads may be interrupted anywhere, a leader too. So nothing here is a lock: who
    leads, and by whom a batch is taken, stands in a mapping, which one step of the interpreter
    writes; and who waits looks from time to time whether that call still goes on.
    """

    def __init__(
        self, writer: Writer, lanes: LaneTable, clock: Clock, *, notify: Callable[[str], None]
    ) -> None:
        self._writer = writer
        self._lanes = lanes
        self._clock = clock
        self._notify = notify
        self._waiting: deque[Batch] = deque()
        self._leading: dict[str, Batch] = {}
        self._taken: dict[Batch, Batch] = {}

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Commit jobs, together with what other threads enqueue meanwhile; return their ids."""
        frame = sys._getframe()  # noqa: SLF001  # what others tell by that this call goes on
        keyed = is_keyed(jobs)
        batch = Batch([] if keyed else self._rows(jobs), jobs if keyed else (), frame)
        try:
            self._commit_or_wait(batch)
        except BaseException:
            self._withdraw(batch)
            raise
        finally:
            batch.frame = None
        return batch.answer()

    def _rows(self, jobs: Sequence[NewJob]) -> list[Row]:
        lanes = self._lanes.numbers([(job.queue, job.task) for job in jobs])
        return rows_of(jobs, lanes, Moment(self._clock))

    def _commit_or_wait(self, batch: Batch) -> None:
        self._waiting.append(batch)
        while not batch.settled():
            leads = self._leading.setdefault(_LEAD, batch) is batch
            if not (leads and self._lead(batch)):
                self._wait(batch)

    def _wait(self, batch: Batch) -> None:
        """Wait for a leader; from the second time on, see that there is one."""
        if batch.signal is None:
            batch.signal = Signal()
            return
        batch.signal.wait(LOOK_SECONDS)
        if not batch.settled():
            self._look_after(batch)

    def _look_after(self, batch: Batch) -> None:
        """See that a batch is not forgotten when the call of a leader has ended anywhere."""
        leader = self._leading.get(_LEAD)
        if leader is not None and leader.left():
            self._leading.pop(_LEAD, None)
        taker = self._taken.get(batch)
        if taker is not None and taker.left():
            self._taken.pop(batch, None)
        if batch not in self._waiting:
            self._waiting.append(batch)

    def _withdraw(self, batch: Batch) -> None:
        """Withdraw the batch of a thread that was interrupted, and its lead, if it had that."""
        with suppress(ValueError):
            self._waiting.remove(batch)
        self._pass_on(batch, [one for one, taker in list(self._taken.items()) if taker is batch])

    def _lead(self, leader: Batch) -> bool:
        """Commit what waits and nobody has taken; False: there was nothing."""
        take = self._taken.setdefault
        group = [
            one for one in list(self._waiting) if not one.settled() and take(one, leader) is leader
        ]
        try:
            if group:
                self._commit(group, leader)
        except (StoreError, sqlite3.Error) as error:
            # Each of the group's threads raises it. Another one may be meant for this thread alone.
            for batch in group:
                batch.error = error
        finally:
            self._pass_on(leader, group)
        return bool(group)

    def _pass_on(self, leader: Batch, group: list[Batch]) -> None:
        """Let a group go, and have the first that waits lead."""
        if self._leading.get(_LEAD) is leader:
            self._leading.pop(_LEAD, None)
        for batch in group:
            self._taken.pop(batch, None)
            if batch is not leader and batch.settled():
                wake(batch)
        waiting = self._waiting
        try:
            while waiting and waiting[0].settled():
                waiting.popleft()
            if waiting:
                wake(waiting[0])
        except IndexError:  # another thread was faster
            return

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
        batch.ids = [format_id(key, batch.rows[0][0])]
        return True

    def _commit_group(self, group: list[Batch]) -> bool:
        names = {(job.queue, job.task) for batch in group for job in batch.jobs}
        lanes = self._lanes.numbers(names) if names else {}
        with self._writer as connection:
            group = [batch for batch in group if not was_committed(connection, batch)]
            wakes = self._insert_rows(connection, [batch for batch in group if batch.rows])
            for batch in group:
                if batch.jobs:
                    wakes = self._keep(connection, batch, lanes) or wakes
            fault("during_enqueue")
        # Not before the commit: what has an answer is not committed again after an interrupt.
        settle(group)
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
            batch.refused = refused
            return False
        batch.promise(kept.ids, kept.made)
        return wakes_for(connection, kept.placed)


def wake(batch: Batch) -> None:
    """Have a thread look what has become of its batch."""
    if (signal := batch.signal) is not None:
        signal.give()


def was_committed(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Return whether a leader that was interrupted had committed the batch; then settle it."""
    if batch.mark is None or batch.answered is None:
        return False
    key, nonce = parse_id(batch.mark) or (0, 0)
    if connection.execute(EXISTS, {"key": key, "nonce": nonce}).fetchone() is None:
        return False
    batch.ids = batch.answered
    return True
