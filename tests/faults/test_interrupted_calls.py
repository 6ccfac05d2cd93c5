"""What a call leaves behind that an exception has ended, wherever that came.

Three ways of coming: at any line and at any instruction (as by a debugger or a tracing timeout),
and after any call of C code (as a signal's or PyThreadState_SetAsyncExc's comes). Each call is
interrupted at each such moment in turn. Then the store must be free for others at once, an honest
call must work, and what was ever acknowledged must be there.
"""

import fcntl
import gc
import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from itertools import count, islice
from uuid import uuid4

import psycopg
import pytest
from redis import Redis

from interrupts import WAYS, Interrupts
from mainspring import Queue, current_job
from mainspring.stores.ownership import owns
from servers import postgres

# What is dropped half made, as a socket that an exception kept from its owner, closes itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PATIENCE = 5.0


class SqliteStores:
    """The file, looked at by connections of SQLite's own."""

    def __init__(self, folder):
        self.path = folder / "jobs.db"
        self.url = f"sqlite:///{self.path}"
        self.queue = None

    def in_turn(self):
        """Whether this thread has kept the writer of its process."""
        return owns(self.queue._store.session.writer._lock)

    def free(self):
        """Whether others can write at once."""
        try:
            self.take()
        except (sqlite3.OperationalError, BlockingIOError):
            return False
        return True

    def take(self):
        for name in ("gate.lock", "pen.lock"):
            lock = os.open(f"{self.path}.run/{name}", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(lock)
        with self.connect() as connection:
            connection.execute("BEGIN IMMEDIATE")

    def holds(self, ids):
        with self.connect() as connection:
            keys = [int(job_id.partition("-")[0]) for job_id in ids]
            asked = ",".join(map(str, keys))
            live = f"SELECT key FROM mainspring_jobs WHERE key IN ({asked})"
            final = f"SELECT key FROM mainspring_finished WHERE key IN ({asked})"
            rows = connection.execute(f"{live} UNION {final}").fetchall()
        return {key for (key,) in rows} == set(keys)

    @contextmanager
    def connect(self):
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        try:
            yield connection
        finally:
            connection.close()


class MemoryStores:
    """The store of the queue, looked at from another thread."""

    url = "memory://"

    def __init__(self, _folder):
        self.queue = None

    def in_turn(self):
        """Whether this thread has kept the lock of the store."""
        return owns(self.queue._store._change.lock)

    def free(self):
        looking = threading.Thread(target=self.queue.stats, daemon=True)
        looking.start()
        looking.join(PATIENCE)
        return not looking.is_alive()

    def holds(self, ids):
        return all(self.queue.get_job(job_id) is not None for job_id in ids)


class PostgresStores:
    """The schema, looked at by a connection of the driver's own."""

    def __init__(self, database, url):
        self.url = url
        self.queue = None
        self.schema = url.rpartition("schema=")[2]
        self.connection = psycopg.connect(database, autocommit=True)

    def in_turn(self):
        """Whether this thread has kept a connection, or the start of the listener."""
        session = self.queue._store.session
        return session.connections.has_loan() or owns(session.direct._starting)

    def free(self):
        """Whether nobody is in a transaction, so that nobody has a lock."""
        asked = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'mainspring' AND state LIKE 'idle in transaction%'"
        )
        return self.connection.execute(asked).fetchone() == (0,)

    def holds(self, ids):
        keys = [int(job_id.partition("-")[0]) for job_id in ids]
        asked = " UNION ".join(
            f"SELECT key FROM {self.schema}.{table} WHERE key = ANY (%(keys)s)"
            for table in ("jobs", "finished")
        )
        return {key for (key,) in self.connection.execute(asked, {"keys": keys})} == set(keys)

    def close(self):
        self.connection.close()


class RedisStores:
    """The namespace, looked at by a client of the library's own."""

    def __init__(self, url):
        self.url = url
        self.queue = None
        self.client = Redis.from_url(url.partition("?")[0])
        self.namespace = url.rpartition("namespace=")[2]

    def in_turn(self):
        """Whether this thread has kept the lock of what is opened at the first use."""
        return owns(self.queue._store._open()._opening)

    def free(self):
        """Whether the server answers others: a script holds it, and nothing else does."""
        return self.client.ping()

    def holds(self, ids):
        keys = {job_id.partition("-")[0] for job_id in ids}
        return not keys or self.client.exists(
            *(f"{{{self.namespace}}}:job:{key}" for key in keys)
        ) == len(keys)

    def close(self):
        self.client.close()


STORES = ("sqlite", "memory", "postgres", "redis")
MOST_MOMENTS = 200
"""Moments that are tried in one store: what is left there makes each look take longer."""


class Calls:
    """One queue, and the calls that are interrupted; each returns the ids it acknowledges."""

    def __init__(self, store, *, working):
        self.store = store
        self.queue = Queue(store.url, workers=2, busy_timeout=2, durability="normal")
        store.queue = self.queue
        self.working = working
        self.names = count()

        @self.queue.task(name="nop")
        def nop(number):
            return number

        self.nop = nop
        self.waiting = self.nop.using(queue="paused")
        self.queue.pause("paused")
        self.nop.delay(0)

    def prepare(self, name):
        """Return a call of that name, ready to be made."""
        return getattr(self, name)()

    def delay(self):
        return lambda: [self.nop.delay(1).id]

    def delay_later(self):
        return lambda: [self.nop.using(delay=3600).delay(1).id]

    def new_task(self):
        task = self.nop.using(queue=f"queue-{next(self.names)}")
        return lambda: [task.delay(1).id]

    def first_use(self):
        if isinstance(self.store, MemoryStores):
            return list
        queue = Queue(self.store.url, busy_timeout=2, durability="normal")
        task = queue.task(name="nop")(print)
        return lambda: [task.delay(1).id]

    def unique(self):
        return lambda: [self.waiting.using(unique="one").delay(1).id]

    def map(self):
        return lambda: [job.id for job in self.nop.map([(1,), (2,), (3,)])]

    def enqueue_many(self):
        calls = [self.nop.call(1), self.nop.call(2)]
        return lambda: [job.id for job in self.queue.enqueue_many(calls)]

    def cancel(self):
        job = self.waiting.delay(1)
        return lambda: [job.cancel() and job.id]

    def retry(self):
        job = self.waiting.delay(1)
        job.cancel()
        return lambda: [job.retry().id]

    def purge(self):
        self.queue.purge(status="cancelled")
        job = self.waiting.delay(1)
        job.cancel()
        return lambda: self.queue.purge(status="cancelled") and None

    def pause(self):
        return lambda: self.queue.pause("other") and None

    def resume(self):
        self.queue.pause("other")
        return lambda: self.queue.resume("other") and None

    def look(self):
        self.waiting.delay(1)
        return lambda: [job.id for job in self.queue.jobs(limit=1)]

    def result(self):
        job = self.nop.delay(7)
        if self.working:
            return lambda: job.result(timeout=PATIENCE) and None

        def wait():
            with pytest.raises(TimeoutError):
                job.result(timeout=0.001)
            return []

        return wait


NAMES = (
    "delay",
    "delay_later",
    "new_task",
    "first_use",
    "unique",
    "map",
    "enqueue_many",
    "cancel",
    "retry",
    "purge",
    "pause",
    "resume",
    "look",
    "result",
)


@pytest.fixture(params=STORES)
def make_store(request, tmp_path):
    """Make empty stores of a kind, the one before being done with."""
    closing = []
    if request.param in {"postgres", "redis"}:
        server = {"postgres": "postgres_database", "redis": "redis_url"}[request.param]
        server = request.getfixturevalue(server)

    def make():
        for close in closing:
            close()
        closing.clear()
        if request.param == "sqlite":
            folder = tmp_path / uuid4().hex
            folder.mkdir()
            return SqliteStores(folder)
        if request.param == "memory":
            return MemoryStores(tmp_path)
        if request.param == "postgres":
            schema = postgres.schema_in(server)
            store = PostgresStores(server, schema.__enter__())
            closing.extend([store.close, lambda: schema.__exit__(None, None, None)])
            return store
        store = RedisStores(f"{server.rpartition('/')[0]}/2?namespace={uuid4().hex}")
        closing.extend([store.client.flushdb, store.close])
        return store

    yield make
    for close in closing:
        close()


def is_free(calls):
    """Whether the store is free for others: at once, but that a worker may hold it for a moment.

    A server needs a moment as well, to see that a connection was closed.
    One look that finds it free is enough: at the next one the worker may be in the midst of a turn.
    """
    waits = calls.working or isinstance(calls.store, PostgresStores)
    deadline = time.monotonic() + (PATIENCE if waits else 0)
    while not (free := calls.store.free()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return free and not calls.store.in_turn()


def interrupt_everywhere(make_store, name, way, moments):
    """Interrupt a call at each of the moments, until it ends before its moment."""
    ended = False
    while not ended:
        calls = Calls(make_store(), working=False)
        acknowledged, ended = interrupt(calls, name, way, islice(moments, MOST_MOMENTS))
        assert calls.store.holds(acknowledged)
        calls.queue.close()


def interrupt(calls, name, way, moments):
    """Interrupt a call at moments; return the ids it acknowledged, and whether it has ended."""
    acknowledged = []
    for moment in moments:
        interrupts = Interrupts(moment)
        answer = interrupted(calls.prepare(name), WAYS[way](interrupts))
        where = f"{name}, interrupted at {way} {moment}: {interrupts.place}"
        assert is_free(calls), where
        honest = calls.nop.delay(moment)
        assert calls.store.holds([*answer, honest.id]), where
        acknowledged += answer
        if not calls.working:  # so that what a list costs stays the same
            honest.cancel()
            calls.queue.drop([honest])
        if not interrupts.fired:
            return acknowledged, True
    return acknowledged, False


def interrupted(call, interrupts):
    """Return what a call has answered, nothing if it was interrupted before."""
    gc.disable()  # an exception in a finalizer goes nowhere
    try:
        with interrupts:
            return call() or []
    except KeyboardInterrupt:
        return []
    finally:
        gc.enable()


def every(step, name):
    """Return every so many moments, from another one for each call."""
    return count(NAMES.index(name) % step, step)


@pytest.mark.parametrize(("way", "step"), [("lines", 17), ("calls", 11), ("opcodes", 211)])
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_call_leaves_nothing_behind(make_store, name, way, step, request):
    if request.node.callspec.params["make_store"] in {"postgres", "redis"}:
        step *= 7  # each look costs a round trip
    interrupt_everywhere(make_store, name, way, every(step, name))


@pytest.mark.parametrize("name", ["delay", "map", "cancel", "result"])
def test_an_interrupted_call_leaves_nothing_behind_beside_a_worker(make_store, name, until):
    run_beside_a_worker(make_store, name, "calls", every(29, name), until)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_is_interrupted_anywhere_leaves_nothing_behind(make_store, name, way):
    interrupt_everywhere(make_store, name, way, count())


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", ["lines", "calls"])
@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_is_interrupted_anywhere_leaves_nothing_behind_beside_a_worker(
    make_store, name, way, until
):
    run_beside_a_worker(make_store, name, way, count(), until)


def run_beside_a_worker(make_store, name, way, moments, until):
    """Interrupt a call while a worker runs in the process; what was acknowledged must run."""
    ended = False
    while not ended:
        calls = Calls(make_store(), working=True)
        with calls.queue.worker():
            acknowledged, ended = interrupt(calls, name, way, islice(moments, MOST_MOMENTS))
            until(lambda calls=calls: not waiting_to_run(calls.queue, name))
            assert calls.nop.delay(8).result(timeout=PATIENCE) == 8
        assert calls.store.holds(acknowledged)
        calls.queue.close()


def waiting_to_run(queue, name):
    """Return whether any job waits that may run now."""
    return name != "delay_later" and queue.stats()["queues"]["default"]["pending"]


class OwnTransaction:
    """A transaction of the caller's, into which jobs are enqueued."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self.connection.execute("CREATE TABLE IF NOT EXISTS theirs (number)")
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO theirs VALUES (1)")

    def check(self):
        """Check that it is as its owner has left it: open, whole, and without our savepoint."""
        assert self.connection.in_transaction
        assert self.connection.text_factory is str
        with pytest.raises(sqlite3.OperationalError, match="no such savepoint"):
            self.connection.execute("RELEASE mainspring")

    def commit(self):
        """Commit it; return how many rows of the caller's and how many jobs there are."""
        self.connection.execute("COMMIT")
        ((theirs,),) = self.connection.execute("SELECT count(*) FROM theirs").fetchall()
        ((jobs,),) = self.connection.execute("SELECT count(*) FROM mainspring_jobs").fetchall()
        self.connection.execute("DELETE FROM mainspring_jobs")
        self.connection.close()
        return theirs, jobs


@pytest.mark.parametrize(("way", "step"), [("lines", 7), ("calls", 3), ("opcodes", 97)])
def test_a_transaction_of_the_callers_stays_theirs(tmp_path, way, step):
    interrupt_in_own_transaction(tmp_path, way, step)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", list(WAYS))
def test_a_transaction_of_the_callers_stays_theirs_wherever_the_exception_comes(tmp_path, way):
    interrupt_in_own_transaction(tmp_path, way, 1)


def interrupt_in_own_transaction(folder, way, step):
    """Interrupt a batch that is enqueued into the caller's transaction, which then commits."""
    store = SqliteStores(folder)
    calls = Calls(store, working=False)
    with store.connect() as connection:
        connection.execute("DELETE FROM mainspring_jobs")
    for turn, moment in enumerate(count(0, step), 1):
        own = OwnTransaction(store.path)
        into = calls.nop.using(conn=own.connection)
        interrupts = Interrupts(moment)
        answer = interrupted(lambda into=into: into.map([(1,), (2,), (3,)]), WAYS[way](interrupts))
        own.check()
        theirs, jobs = own.commit()
        assert theirs == turn
        assert jobs in ((3,) if answer else (0, 3)), f"{way} {moment}: {interrupts.place}"
        if not interrupts.fired:
            break
    calls.queue.close()


@pytest.mark.parametrize("way", list(WAYS))
def test_a_body_that_is_interrupted_while_it_speaks_keeps_no_other_from_speaking(way):
    """In its thread, by whoever throws an exception into it."""
    queue = Queue("memory://", workers=2)
    interrupts = []

    @queue.task(name="body", retries=0)
    def body():
        try:
            with WAYS[way](interrupts[-1]):
                current_job.progress(0.5, "half")
                current_job.log("a line")
                current_job.log("another")
        except KeyboardInterrupt:
            return "interrupted"
        return "done"

    @queue.task(name="honest")
    def honest(number):
        current_job.log(f"line {number}")
        current_job.progress(0.5, f"at {number}")
        return number

    with queue.worker():
        for moment in count():
            interrupts.append(Interrupts(moment))
            answer = body.delay().result(timeout=PATIENCE)
            job = honest.delay(moment)
            assert job.result(timeout=PATIENCE) == moment, interrupts[-1].place
            assert [line.text for line in job.log] == [f"line {moment}"], interrupts[-1].place
            if not interrupts[-1].fired:
                break
        assert answer == "done"
    queue.close()
