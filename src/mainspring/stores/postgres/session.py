"""The connections of one process to one database, and its transactions, done again where they may.

What a deadlock has undone is done again; so is what a lost connection has interrupted before its
commit. Whether a commit came through whose answer is lost, only an enqueuing can find out.
"""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from mainspring.clock import monotonic
from mainspring.errors import StoreError
from mainspring.faults import fault
from mainspring.stores.postgres.connections.direct import TOPICS, DirectConnection
from mainspring.stores.postgres.connections.trouble import (
    LOST,
    UNDONE,
    KeysTaken,
    Raced,
    explain,
    is_key_taken,
    sentence_of,
)
from mainspring.stores.postgres.enqueue import (
    MOST_ROWS,
    batch_of,
    draw,
    enqueue_into,
    insert,
    insert_again,
    was_kept,
)
from mainspring.stores.postgres.schema.sequences import AS_OWNER, raise_sequences
from mainspring.stores.postgres.single_job import SingleJobs
from mainspring.stores.rules.enqueue import is_keyed
from mainspring.stores.sql.lanes import KnownLanes
from mainspring.stores.wake.topics import READY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from mainspring.model.job import NewJob
    from mainspring.protocols import Listener
    from mainspring.stores.postgres.address import PostgresAddress
    from mainspring.stores.postgres.connections.connections import Connections
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.postgres.enqueue import JobBatch
    from mainspring.stores.sql.lanes import Name

T = TypeVar("T")

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

MOST_TRIES = 6
FIRST_PAUSE = 0.01

KEYS_AHEAD = 64
KEYS_SECONDS = 1.0
"""Keys that one enqueuing draws for the next ones, if they come so soon: lists go by key."""

MOST_PAYLOAD = 7_900
"""Bytes that one NOTIFY carries."""

FULL_CLAIMS = 3
"""Claims in a row that gave all that was wanted, after which nobody need notify this process."""

ADD_LANES = """
INSERT INTO lanes (queue, task)
SELECT queue, task FROM unnest(%(queues)s::text[], %(tasks)s::text[]) AS given (queue, task)
ORDER BY queue, task
ON CONFLICT DO NOTHING
"""
LANES = """
SELECT lane, queue, task FROM lanes
WHERE md5(task) = ANY (SELECT md5(name) FROM unnest(%(tasks)s::text[]) AS name) ORDER BY lane
"""

# Behind the commit, so that it finds whoever began to wait before it. A lock that can't be had
# means that somebody waits.
NOTIFY = """
SELECT pg_notify(%(channel)s, %(payload)s)
WHERE NOT pg_try_advisory_xact_lock(%(locks)s::int, %(topic)s::int)
"""


# A live job is in no other table, and its claim in no history. What says otherwise was written by
# somebody else, and the job's end would be refused as often as it is told.
LIVE_ONCE = """
WITH doubles AS (DELETE FROM finished USING jobs WHERE finished.key = jobs.key)
DELETE FROM attempts USING jobs WHERE attempts.key = jobs.key
  AND (attempts.fence > jobs.fence OR attempts.fence = jobs.fence AND jobs.state = 2)
"""
OURS = {"jobs_pkey", "finished_pkey", "attempts_pkey", "nodes_pkey", "chronicle_pkey"}


class CommitState:
    """Mark of an attempt that commits: from then on nobody knows what a lost connection means."""

    committing = False


class PostgresSession:
    """Connections, lanes and notifications of one process."""

    def __init__(
        self, address: PostgresAddress, moment: Callable[[], ServerMoment], connections: Connections
    ) -> None:
        self._address = address
        self._moment = moment
        self.connections = connections
        self.direct = DirectConnection(address, connections.connect_directly)
        self.lanes = KnownLanes()
        self._single = SingleJobs(address)
        # A session that is not ours alone keeps no lock_timeout of ours.
        wait = f"; SET LOCAL lock_timeout = {int(address.busy_timeout * 1000)}"
        self._begin = (BEGIN + wait if address.pooled else BEGIN).encode()
        self._keys: deque[int] = deque()
        self._keys_until = 0.0
        self._full_claims = 0

    def read(self, work: Callable[[Statements], T]) -> T:
        """Return what `work` reads by a connection."""
        return self.again(work, CommitState())

    def write(self, work: Callable[[Statements], T]) -> T:
        """Return what `work` does in a transaction."""
        progress = CommitState()
        return self.again(lambda connection: self._transact(connection, work, progress), progress)

    def delete(self, work: Callable[[Statements], T]) -> T:
        """Return what `work` does in a transaction that deletes."""
        return self.write(work)

    def again(self, work: Callable[[Statements], T], progress: CommitState) -> T:
        """Return what `work` does, again where that is known to be harmless."""
        pause = FIRST_PAUSE
        for tries in range(MOST_TRIES):
            connection = None
            progress.committing = False
            try:
                with self.connections.lend() as connection:
                    return work(connection)
            except Raced:
                pass
            except errors.UniqueViolation as error:
                if error.diag.constraint_name not in OURS:
                    raise
                if tries + 1 == MOST_TRIES:
                    raise self._address.unusable(sentence_of(error), AS_OWNER) from error
                self.read(self.repair)
            except psycopg.Error as error:
                lost = isinstance(error, LOST) and (not connection or connection.driver.closed)
                may_repeat = isinstance(error, UNDONE) or (lost and not progress.committing)
                if not may_repeat or tries + 1 == MOST_TRIES:
                    explain(error, self._address)
                    raise
            sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
        raise self._address.unusable("other transactions were faster, again and again", "try later")

    def repair(self, connection: Statements) -> None:
        """Have each key be that of one job only, from now on."""
        connection.execute(LIVE_ONCE)
        raise_sequences(connection.driver, self._address)
        self.forget_keys()

    def numbers(self, names: AbstractSet[Name]) -> Mapping[Name, int]:
        """Return the number of each lane; new ones are committed."""
        missing = self.lanes.missing(names)
        if missing:
            self._add_lanes(missing)
            if self.lanes.missing(names):  # the server gave them the numbers of others
                self.read(self.repair)
                self._add_lanes(missing)
                if self.lanes.missing(names):
                    raise self._address.unusable("new tasks get the numbers of others", AS_OWNER)
        return self.lanes.numbers

    def _add_lanes(self, names: Collection[Name]) -> None:
        queues, tasks = [name[0] for name in names], [name[1] for name in names]
        asked = {"queues": queues, "tasks": tasks}
        self.read(lambda connection: connection.execute(ADD_LANES, asked))
        rows = self.read(lambda connection: connection.rows(LANES, asked))
        self.lanes.learn([(lane, (queue, task)) for lane, queue, task in rows], below=2**31)

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, notify, and return their ids; an answer that was lost makes no second job."""
        lanes = self.numbers({(job.queue, job.task) for job in jobs})
        return self.by_free_keys(lambda: self._enqueue(jobs, lanes))

    def by_free_keys(self, work: Callable[[], T]) -> T:
        """Return what `work` does, which draws keys; done again while they are those of others.

        Also those that a repair makes free may be others' meanwhile: of processes that had drawn
        them before, or whose transactions were open.
        """
        for _ in range(MOST_TRIES):
            try:
                return work()
            except KeysTaken:
                self.read(self.repair)
        raise self._address.unusable("others were given the keys of new jobs", "try later")

    def _enqueue(self, jobs: Sequence[NewJob], lanes: Mapping[Name, int]) -> list[str]:
        batch = self.batch(jobs)
        tries: list[bool] = []

        def keep(connection: Statements) -> list[str]:
            tries.append(True)
            return self._keep(connection, batch, lanes, again=len(tries) > 1)

        ids = self.again(keep, CommitState())
        if is_keyed(jobs):
            self.notify(READY)
        return ids

    def batch(self, jobs: Sequence[NewJob]) -> JobBatch:
        """Return jobs with keys, which are drawn in blocks."""
        return batch_of(jobs, self._draw(len(jobs)))

    def notify(self, *topics: str, keys: Collection[int] = ()) -> None:
        """Wake the listeners of the topics; `keys` are those of the jobs it is about.

        Where the server has gone, they look by themselves once it is back.
        """

        def send(connection: Statements) -> None:
            for topic in topics:
                self._notify(connection, topic, keys)

        with suppress(StoreError):
            self.read(send)

    def _notify(self, connection: Statements, topic: str, keys: Collection[int] = ()) -> None:
        payload = ",".join(map(str, keys))
        asked = {
            "channel": self._address.channel(topic),
            "payload": payload if len(payload) <= MOST_PAYLOAD else "",
            "locks": self._address.lock_class,
            "topic": TOPICS[topic],
        }
        connection.execute(NOTIFY, asked)

    def listen(self, topic: str) -> Listener:
        """Listen for a topic."""
        return self.direct.listen(topic)

    def claimed(self, *, full: bool) -> bool:
        """Note a claim; True: there may be more that nobody has notified this process of.

        While it gets all that it wants it need not be notified, unless others in this process
        sleep. One that is given less says so first, and then looks again.
        """
        listeners = self.direct.listeners(READY)
        if not listeners:
            return False
        if full:
            self._full_claims += 1
            if self._full_claims >= FULL_CLAIMS and listeners == 1:
                self.direct.unlisten(READY, 1)
            return False
        self._full_claims = 0
        was_notified = self.direct.holds(TOPICS[READY])
        return not was_notified and self.direct.hold(TOPICS[READY])

    def suspend(self) -> None:
        """Do nothing before a fork: no lock is ever held by a process of ours in memory alone."""

    resume = suspend

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        self.direct.close()
        self.connections.close()
        self.forget_keys()

    def forget_keys(self) -> None:
        """Draw new keys for the next jobs."""
        self._keys.clear()

    def _draw(self, count: int) -> list[int]:
        keys, now = self._keys, monotonic()
        if now > self._keys_until:
            keys.clear()
        drawn: list[int] = []
        try:
            while len(drawn) < count:
                drawn.append(keys.popleft())
        except IndexError:
            ahead = 0 if count >= KEYS_AHEAD else KEYS_AHEAD
            drawn = self.read(lambda connection: draw(connection, count + ahead))
            drawn, rest = drawn[:count], drawn[count:]
            keys.extend(rest)
            self._keys_until = now + KEYS_SECONDS
        return drawn

    def _keep(
        self, connection: Statements, batch: JobBatch, lanes: Mapping[Name, int], *, again: bool
    ) -> list[str]:
        try:
            if not is_keyed(batch.jobs):
                return self._insert(connection, batch, lanes, again=again)
            return self._transact(connection, lambda _: self._keep_keyed(connection, batch, lanes))
        except errors.UniqueViolation as error:
            if again and was_kept(connection, batch):  # the first try has committed meanwhile
                raise Raced from error
            if is_key_taken(error):
                raise KeysTaken from error
            raise

    def _keep_keyed(
        self, connection: Statements, batch: JobBatch, lanes: Mapping[Name, int]
    ) -> list[str]:
        ids = enqueue_into(connection, batch, lanes, self._moment())
        fault("during_enqueue")
        return ids

    def _insert(
        self, connection: Statements, batch: JobBatch, lanes: Mapping[Name, int], *, again: bool
    ) -> list[str]:
        """Commit jobs without keys, and wake who waits; one statement is a transaction."""
        if len(batch.jobs) == 1 and not (again or self._address.pooled):
            self._single.keep(connection, batch, lanes, self._moment())
            fault("during_enqueue")
            return batch.ids

        def work(_: Statements) -> None:
            if again:
                insert_again(connection, batch, lanes, self._moment())
            else:
                insert(connection, batch, lanes, self._moment())
            fault("during_enqueue")

        if again or len(batch.jobs) > MOST_ROWS:
            self._transact(connection, work)
        else:
            work(connection)
        self._notify(connection, READY)
        return batch.ids

    def _transact(
        self,
        connection: Statements,
        work: Callable[[Statements], T],
        progress: CommitState | None = None,
    ) -> T:
        """Return what `work` does in a transaction; nothing of it holds if it raises."""
        connection.execute_all(self._begin)
        try:
            answer = work(connection)
        except BaseException:
            if connection.driver.info.transaction_status in (
                TransactionStatus.INTRANS,
                TransactionStatus.INERROR,
            ):
                connection.execute("ROLLBACK")
            raise
        if progress is not None:
            progress.committing = True
        connection.execute("COMMIT")
        return answer
