"""The intake: threads that enqueue at the same time share one commit, as a group."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mainspring.faults import fault
from mainspring.stores import topics
from mainspring.stores.clock import Moment
from mainspring.stores.job_id import format_id
from mainspring.stores.sqlite.intake.batch import Batch, share
from mainspring.stores.sqlite.intake.news import wakes_for, wakes_sleepers
from mainspring.stores.sqlite.intake.ordinary import ENQUEUE_ONE, insert, is_ready, rows_of
from mainspring.stores.sqlite.intake.particular import Kept, is_particular
from mainspring.stores.sqlite.intake.transaction import keep_or_refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Clock
    from mainspring.stores.sqlite.connections.writer import Writer
    from mainspring.stores.sqlite.intake.ordinary import Row
    from mainspring.stores.sqlite.rows.lanes import Lanes


class Intake:
    """Commits batches in groups: whoever finds nobody leading commits for all that wait."""

    def __init__(
        self, writer: Writer, lanes: Lanes, clock: Clock, *, ring: Callable[[str], None]
    ) -> None:
        self._writer = writer
        self._lanes = lanes
        self._clock = clock
        self._ring = ring
        self._mutex = threading.Lock()
        self._waiting: list[Batch] = []
        self._led = False

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Commit jobs, together with what other threads enqueue meanwhile; return their ids."""
        batch = Batch([], jobs) if is_particular(jobs) else Batch(self._rows(jobs))
        try:
            if not self._lead_at_once(batch):
                batch.baton.acquire()
            if not batch.settled():
                self._lead(batch)
        except BaseException:
            self._withdraw(batch)
            raise
        return batch.answer()

    def _rows(self, jobs: Sequence[NewJob]) -> list[Row]:
        lanes = self._lanes.numbers([(job.queue, job.task) for job in jobs])
        return rows_of(jobs, lanes, Moment(self._clock))

    def _lead_at_once(self, batch: Batch) -> bool:
        with self._mutex:
            self._waiting.append(batch)
            batch.leads, self._led = not self._led, True
        return batch.leads

    def _withdraw(self, batch: Batch) -> None:
        """Take back the batch of a thread that was interrupted, and its lead, if it had that."""
        with self._mutex:
            if batch in self._waiting:
                self._waiting.remove(batch)
        self._pass_on(batch)

    def _lead(self, leader: Batch) -> None:
        group: list[Batch] = []
        try:
            with self._mutex:
                group, self._waiting = self._waiting, []
            self._commit(group)
        except Exception as error:  # noqa: BLE001  # each of the group's threads raises it
            for batch in group:
                batch.error = error
        finally:
            self._put_back(group, leader)
            self._pass_on(leader)
            for batch in group:
                if batch.settled():
                    batch.baton.release()

    def _put_back(self, group: list[Batch], leader: Batch) -> None:
        """Let others commit what an interrupted leader did not."""
        unsettled = [batch for batch in group if batch is not leader and not batch.settled()]
        with self._mutex:
            self._waiting = unsettled + self._waiting

    def _pass_on(self, leader: Batch) -> None:
        """Give the lead to the first that waits."""
        with self._mutex:
            if not leader.leads:
                return
            leader.leads = False
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].leads = True
                self._waiting[0].baton.release()

    def _commit(self, group: list[Batch]) -> None:
        rows = group[0].rows if len(group) == 1 else [row for batch in group for row in batch.rows]
        if len(group) == len(rows) == 1 and is_ready(rows[0]):
            wakes = self._commit_one(group[0])
        elif particular := [batch for batch in group if batch.jobs]:
            wakes = self._commit_each(particular, rows, group)
        else:
            with self._writer as connection:
                wakes = wakes_sleepers(connection, rows)
                ids = insert(connection, rows)
                fault("during_enqueue")
            share(ids, group)
        if wakes:
            self._ring(topics.READY)

    def _commit_one(self, batch: Batch) -> bool:
        """Commit a job that has come alone and is ready, in one statement; sleepers must wake."""
        fault("during_enqueue")
        key = self._writer.run(ENQUEUE_ONE, batch.rows[0]).lastrowid or 0
        batch.ids = [format_id(key, batch.rows[0][0])]
        return True

    def _commit_each(self, particular: list[Batch], rows: list[Row], group: list[Batch]) -> bool:
        """Commit batches of which each may be refused, and with them the ordinary ones."""
        names = {(job.queue, job.task) for batch in particular for job in batch.jobs}
        lanes = self._lanes.numbers(names)
        with self._writer as connection:
            wakes = bool(rows) and wakes_sleepers(connection, rows)
            ids = insert(connection, rows)
            moment = Moment(self._clock)
            kept = [keep_or_refuse(connection, batch.jobs, lanes, moment) for batch in particular]
            placed = [one for answer in kept if isinstance(answer, Kept) for one in answer.placed]
            wakes = wakes or wakes_for(connection, placed)
            fault("during_enqueue")
        # Not before the commit: what has an answer is not committed again after an interrupt.
        share(ids, [batch for batch in group if batch.rows])
        for batch, answer in zip(particular, kept, strict=True):
            if isinstance(answer, Kept):
                batch.ids = answer.ids
            else:
                batch.error = answer
        return wakes
