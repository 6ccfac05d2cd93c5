"""`queue.testing()` in transactions of a test's PostgreSQL database, which the test rolls back."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from sqlalchemy import create_engine, pool
from sqlalchemy.orm import Session

from mainspring import Queue, current_job
from mainspring.errors import InvalidConnection


@pytest.fixture
def queue(tmp_path):
    """A queue whose own store must not be made."""
    yield Queue(db_path=tmp_path / "real.db")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def body(queue):
    return queue.task(name="body", retries=0)(lambda: None)


@pytest.fixture
def conn(postgres_database):
    with psycopg.connect(postgres_database) as conn:
        yield conn
        conn.rollback()


@contextmanager
def bare(database):
    with psycopg.connect(database) as conn:
        yield conn, conn.execute


@contextmanager
def autocommitting(database):
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("BEGIN")
        yield conn, conn.execute


@contextmanager
def of_sqlalchemy(database):
    url = database.replace("postgresql://", "postgresql+psycopg://")
    with create_engine(url, poolclass=pool.NullPool).connect() as conn:
        yield conn, conn.exec_driver_sql


@contextmanager
def session(database):
    with of_sqlalchemy(database) as (conn, execute):
        conn.begin()
        with Session(conn) as session:
            session.begin()
            yield session, execute


@contextmanager
def of_django(database):
    with psycopg.connect(database) as conn:
        wrapper = DatabaseWrapper({})
        wrapper.connection = conn
        yield wrapper, conn.execute


@pytest.mark.parametrize("opened", [bare, autocommitting, of_sqlalchemy, session, of_django])
def test_a_job_is_gone_when_its_savepoint_is_rolled_back(queue, body, postgres_database, opened):
    with queue.testing() as t, opened(postgres_database) as (conn, execute):
        execute("SELECT 1")  # which begins
        body.using(conn=conn, tags=["kept"]).delay()
        execute("SAVEPOINT request")
        body.using(conn=conn).delay()
        t.assert_enqueued(body, times=2)
        execute("ROLLBACK TO SAVEPOINT request")
        t.assert_enqueued(body, times=1)
        assert t.run() == 1
        execute("ROLLBACK")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_job_goes_by_the_end_of_the_whole_transaction(queue, body, conn, end):
    with queue.testing() as t:
        body.using(conn=conn).delay()
        conn.execute(end)
        assert t.run() == (end == "COMMIT")


def test_to_ask_leaves_the_connection_as_it_is(queue, body, conn):
    with queue.testing() as t:
        body.using(conn=conn).delay()
        conn.commit()
        t.assert_enqueued(body)
        conn.autocommit = True  # which psycopg refuses in a transaction


def test_after_an_error_of_its_own_a_transaction_still_goes_by_its_rollback(queue, body, conn):
    with queue.testing() as t:
        body.using(conn=conn).delay()
        conn.execute("SAVEPOINT request")
        with pytest.raises(psycopg.Error):
            conn.execute("SELECT nothing")
        t.assert_enqueued(body)
        conn.execute("ROLLBACK TO SAVEPOINT request")
        t.assert_enqueued(body)
        conn.rollback()
        t.assert_not_enqueued(body)


@pytest.mark.parametrize("end", ["RELEASE", "ROLLBACK TO"])
def test_a_job_completed_in_a_transaction_is_so_unless_that_is_rolled_back(queue, conn, end):
    @queue.task(retries=0)
    def body():
        conn.execute("SAVEPOINT body")
        current_job.complete_in(conn, 7)
        conn.execute(f"{end} SAVEPOINT body")
        return "not looked at"

    for _ in range(2):  # on a connection that outlives the test
        with queue.testing() as t:
            body.delay()
            if end == "RELEASE":
                t.run()
                assert t.last.result == 7
            else:
                with pytest.raises(Exception, match="without a commit"):
                    t.run()


def test_no_mark_of_an_earlier_test_counts_in_the_next(queue, conn):
    keep = [True, False]

    @queue.task(retries=0)
    def body():
        conn.execute("SAVEPOINT body")
        current_job.complete_in(conn, 7)
        conn.execute("COMMIT" if keep.pop(0) else "ROLLBACK")

    with queue.testing() as t:
        body.delay()
        t.run()
    with queue.testing() as t:
        body.delay()
        with pytest.raises(Exception, match="without a commit"):
            t.run()


def test_an_asynchronous_connection_will_do(queue, postgres_database):
    @queue.task(name="body")
    async def body():
        pass

    async def enqueue(t):
        async with await psycopg.AsyncConnection.connect(postgres_database) as conn:
            await conn.execute("SAVEPOINT request")
            await body.using(conn=conn).adelay()
            t.assert_enqueued(body)
            await conn.execute("ROLLBACK TO SAVEPOINT request")
            t.assert_not_enqueued(body)
            await body.using(conn=conn).adelay()
            await conn.commit()
            t.assert_enqueued(body, times=1)

    with queue.testing() as t:
        asyncio.run(enqueue(t))
        assert t.run() == 1


def test_a_connection_that_production_refuses_is_refused(queue, body, postgres_database):
    with queue.testing(), psycopg.connect(postgres_database, autocommit=True) as conn:
        with pytest.raises(InvalidConnection, match="no transaction is open"):
            body.using(conn=conn).delay()
        conn.close()
        with pytest.raises(InvalidConnection, match="it is closed"):
            body.using(conn=conn).delay()
