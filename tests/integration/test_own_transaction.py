"""Jobs in the caller's own transaction on the queue's file, from `using(conn=)` to a worker."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from mainspring import Queue
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
