"""Jobs in the caller's own transaction on the queue's file, from `using(conn=)` to a worker."""

from __future__ import annotations

import gc
import sqlite3
import time
from contextlib import closing

import pytest

from mainspring import JobFailed, Queue
from mainspring.errors import InvalidConnection, StoreBusy


@pytest.fixture
def queue(tmp_path):
    queue = Queue(db_path=tmp_path / "jobs.db", workers=2, durability="normal", grace=5)
    yield queue
    queue.close()


@pytest.fixture
def noop(queue):
    return queue.task(name="noop")(lambda n=1: n)


@pytest.fixture
def conn(queue, noop, tmp_path):
    noop.delay()  # the file exists from now on
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE mine (n)")
        yield connection


@pytest.fixture
def engine(tmp_path, conn):
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="one of what conn= may be")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield engine
    engine.dispose()


def insert():
    sqlalchemy = pytest.importorskip("sqlalchemy")
    return sqlalchemy.text("INSERT INTO mine VALUES (1)")


def test_a_job_exists_if_and_only_if_the_transaction_commits(queue, noop, conn):
    inside = noop.using(conn=conn)
    conn.execute("BEGIN")
    gone = inside.delay(1)
    conn.execute("ROLLBACK")
    with pytest.raises(LookupError):
        _ = gone.status
    with queue.worker(), queue.transaction(conn):
        conn.execute("BEGIN")
        job, *more = inside.map([(2,), (3,)])
        assert queue.get_job(job.id) is None
        conn.execute("COMMIT")
        assert [one.result(timeout=10) for one in (job, *more)] == [2, 3]


def test_a_key_is_respected_inside(queue, noop, conn):
    live = noop.using(unique="k", delay=60).delay(1)
    conn.execute("BEGIN")
    assert noop.using(unique="k", conn=conn).delay(2) == live
    conn.execute("COMMIT")
    assert live.args == (1,)


def test_no_transaction_is_begun_for_it(noop, conn):
    with pytest.raises(InvalidConnection, match="conn= can't be used"):
        noop.using(conn=conn).delay()
    assert not conn.in_transaction


def test_a_plain_delay_beside_an_open_transaction_gives_up_soon(queue, noop, conn):
    began = time.monotonic()
    with queue.transaction(conn):
        conn.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match=r"this thread's own.*using\(conn=conn\)"):
            noop.delay()
        job = noop.using(conn=conn).delay(5)
        conn.execute("COMMIT")
    assert time.monotonic() - began < 10
    assert job.status == "pending"


def test_a_connection_of_sqlalchemy_takes_a_job(queue, noop, engine):
    with queue.worker(), engine.connect() as connection:
        with queue.transaction(connection), connection.begin():
            connection.execute(insert())
            job = noop.using(conn=connection).delay(7)
        assert job.result(timeout=10) == 7


def test_a_job_may_be_the_first_thing_in_a_transaction_of_sqlalchemy(queue, noop, engine):
    orm = pytest.importorskip("sqlalchemy.orm")
    with engine.begin() as connection:
        first = noop.using(conn=connection).delay(1)
    with orm.Session(engine) as session, session.begin():
        second = noop.using(conn=session).delay(2)
    with orm.Session(engine) as session, session.begin():
        third = noop.using(conn=session).delay(3)
        session.rollback()
    assert [first.status, second.status] == ["pending", "pending"]
    assert queue.get_job(third.id) is None


def test_a_session_of_sqlalchemy_takes_a_job(queue, noop, engine):
    orm = pytest.importorskip("sqlalchemy.orm")
    with queue.worker(), orm.Session(engine) as session:
        session.execute(insert())
        job = noop.using(conn=session).delay(8)
        session.commit()
        assert job.result(timeout=10) == 8
        session.execute(insert())
        gone = noop.using(conn=session).delay(9)
        session.rollback()
    assert queue.get_job(gone.id) is None


class TestADroppedConnection:
    """Python may keep what nobody has any more, and with it the lock of its transaction."""

    @pytest.fixture(autouse=True)
    def uncollected(self):
        gc.collect()
        gc.disable()
        yield
        gc.enable()
        gc.collect()

    @pytest.fixture
    def patient(self, tmp_path):
        queue = Queue(db_path=tmp_path / "jobs.db", busy_timeout=60.0, workers=1)
        yield queue
        queue.close()

    @staticmethod
    def drop(path):
        dropped = sqlite3.connect(path)
        # As older versions of Python make it, by a cache of its statements.
        dropped.row_factory = lambda *_: dropped
        dropped.execute("BEGIN IMMEDIATE")

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("raises", [True, False])
    @pytest.mark.parametrize("kind", ["thread", "async"])
    def test_of_a_body_does_not_hold_up_its_worker(self, patient, tmp_path, kind, raises):
        def body():
            self.drop(tmp_path / "jobs.db")
            if raises:
                raise ValueError("in the midst of it")
            return "done"

        async def abody():
            return body()

        task = patient.task(name="drops", retries=0)(body if kind == "thread" else abody)
        with patient.worker():
            job = task.delay()
            if raises:
                with pytest.raises(JobFailed, match="in the midst of it"):
                    job.result(timeout=20)
            else:
                assert job.result(timeout=20) == "done"

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("bulk", [False, True])
    def test_of_a_producer_does_not_hold_up_the_next_enqueue(self, patient, tmp_path, bulk):
        task = patient.task(name="noop")(lambda: None)
        task.delay()
        self.drop(tmp_path / "jobs.db")
        began = time.monotonic()
        jobs = task.map([(), ()]) if bulk else [task.delay()]
        assert time.monotonic() - began < 30
        assert [job.status for job in jobs] == ["pending"] * len(jobs)

    def test_one_that_is_kept_is_waited_for_as_long_as_the_queue_says(self, tmp_path):
        queue = Queue(db_path=tmp_path / "jobs.db", busy_timeout=2.0)
        task = queue.task(name="noop")(lambda: None)
        task.delay()
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as kept:
            kept.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(StoreBusy, match="outside mainspring"):
                task.delay()
            assert time.monotonic() - began > 1.9
            kept.rollback()
        assert task.delay().status == "pending"
        queue.close()
