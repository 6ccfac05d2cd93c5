"""How jobs come in: threads that enqueue at the same time share one commit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import json

from mainspring.errors import DuplicateJob
from mainspring.faults import fault
from mainspring.stores import topics
from mainspring.stores.clock import Moment
from mainspring.stores.job_id import format_id, new_nonce
from mainspring.stores.sqlite.states import READY, SCHEDULED
from mainspring.stores.sqlite.uniqueness import Keeping, Kept, Placed, is_particular
from mainspring.stores.sqlite.values import in_chunks, with_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Clock
    from mainspring.stores.sqlite.lanes import Lanes, Name
    from mainspring.stores.sqlite.writer import Writer

COLUMNS = 8
ENQUEUE = """
INSERT INTO jobs (key, nonce, lane, state, priority, run_at, created_at, payload) VALUES {rows}
"""

LAST_KEY = """
SELECT max(
  (SELECT key FROM spent),
  coalesce((SELECT max(key) FROM jobs), 0), coalesce((SELECT max(key) FROM finished), 0)
)
"""

ENQUEUE_ONE = """
INSERT INTO jobs (key, nonce, lane, state, priority, run_at, created_at, payload)
VALUES (
  1 + max(
    (SELECT key FROM spent),
    coalesce((SELECT max(key) FROM jobs), 0), coalesce((SELECT max(key) FROM finished), 0)
  ),
  ?, ?, ?, ?, ?, ?, ?
)
"""

FIRST_DUE = """
SELECT min((
  SELECT run_at FROM jobs INDEXED BY scheduled
  WHERE state = 1 AND lane = asked.value ORDER BY run_at LIMIT 1
))
FROM json_each(?) AS asked
"""

Row = tuple[int, int, int, int, int, int, str]
"""One job: nonce, lane, state, priority, run_at, created_at, payload."""


class Batch:
    """The jobs of one call, waiting for a commit.

    `rows` are ordinary ones; `jobs` have to be kept one by one. A batch has either.
    `baton` opens when its thread may go on: because the batch is settled, or because it `leads`.
    """

    __slots__ = ("baton", "error", "ids", "jobs", "leads", "rows")

    def __init__(self, rows: list[Row], jobs: Sequence[NewJob] = ()) -> None:
        self.rows = rows
        self.jobs = jobs
        self.ids: list[str] | None = None
        self.error: Exception | None = None
        self.leads = False
        self.baton = threading.Lock()
        self.baton.acquire()

    def settled(self) -> bool:
        """Whether a leader has done it."""
        return self.ids is not None or self.error is not None

    def answer(self) -> list[str]:
        """Return the ids, or raise what the commit failed of."""
        if self.error is not None:
            raise self.error
        return self.ids or []


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


def keep_or_refuse(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Kept | DuplicateJob:
    """Keep all of a batch, or nothing of it: then return why."""
    connection.execute("SAVEPOINT batch")
    try:
        kept = Keeping(connection, lanes, moment).keep(jobs)
    except DuplicateJob as refused:
        connection.execute("ROLLBACK TO batch")
        connection.execute("RELEASE batch")
        return refused
    connection.execute("RELEASE batch")
    return kept


def enqueue_into(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Kept:
    """Keep jobs in a transaction that is open. Raises `DuplicateJob`: then the caller undoes it."""
    if is_particular(jobs):
        return Keeping(connection, lanes, moment).keep(jobs)
    rows = rows_of(jobs, lanes, moment)
    placed = [Placed(lane=row[1], state=row[2], run_at=row[4]) for row in rows]
    return Kept(insert(connection, rows), placed)


def rows_of(jobs: Sequence[NewJob], lanes: Mapping[Name, int], moment: Moment) -> list[Row]:
    """Return the rows of ordinary jobs."""
    return [
        (
            new_nonce(),
            lanes[job.queue, job.task],
            SCHEDULED if job.delay > 0 else READY,
            job.priority,
            moment.after(job.delay),
            moment.micros,
            job.payload.decode(),
        )
        for job in jobs
    ]


def wakes_for(connection: sqlite3.Connection, placed: Sequence[Placed]) -> bool:
    """Whether jobs that stand in their lanes now are news to any sleeper."""
    if any(one.state == READY for one in placed):
        return True
    return any(one.run_at <= first_due(connection, one.lane, one.run_at) for one in placed)


def insert(connection: sqlite3.Connection, rows: list[Row]) -> list[str]:
    """Insert jobs and return their ids."""
    (last,) = connection.execute(LAST_KEY).fetchone()
    keyed = [(key, *row) for key, row in enumerate(rows, last + 1)]
    for chunk in in_chunks(keyed):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(ENQUEUE, COLUMNS, len(chunk)), flat)
    return [format_id(row[0], row[1]) for row in keyed]


def share(ids: list[str], group: list[Batch]) -> None:
    """Give each batch its ids."""
    start = 0
    for batch in group:
        batch.ids = ids[start : start + len(batch.rows)]
        start += len(batch.rows)


def is_ready(row: Row) -> bool:
    """Whether a job can start at once."""
    return row[2] == READY


def wakes_sleepers(connection: sqlite3.Connection, rows: list[Row]) -> bool:
    """Whether there is work now, or work due before what any sleeper waits for."""
    if any(is_ready(row) for row in rows):
        return True
    firsts: dict[int, int] = {}
    for _, lane, _, _, run_at, *_ in rows:
        firsts[lane] = min(run_at, firsts.get(lane, run_at))
    return any(run_at < first_due(connection, lane, run_at) for lane, run_at in firsts.items())


def first_due(connection: sqlite3.Connection, lane: int, run_at: int) -> int:
    """Return when the lane's first delayed job is due; just after `run_at` if it has none."""
    (first,) = connection.execute(FIRST_DUE, (json.encode([lane]).decode(),)).fetchone()
    return run_at + 1 if first is None else int(first)
