"""Jobs in the caller's own transaction, as far as the front door goes.

What a store does with a connection its own tests tell; here a stand-in says what it was given.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from contextvars import copy_context

import pytest

from mainspring import Queue
from mainspring.errors import InvalidConnection, InvalidOption, StoreBusy


class Transactional:
    """What an SQL store adds, noted instead of done."""

    def __init__(self):
        self.given = []
        self.announced = 0

    def enqueue_in(self, connection, jobs):
        self.given.append((connection, [job.task for job in jobs]))
        return [f"{number}-id" for number, _ in enumerate(jobs, 1)]

    def announce(self):
        self.announced += 1


@pytest.fixture
def queue(tmp_path):
    queue = Queue(db_path=tmp_path / "jobs.db", durability="normal")
    yield queue
    queue.close()


@pytest.fixture
def store(queue, monkeypatch):
    stand_in = Transactional()
    for name in ("enqueue_in", "announce"):
        monkeypatch.setattr(queue._store, name, getattr(stand_in, name), raising=False)
    return stand_in


@pytest.fixture
def noop(queue):
    return queue.task(name="noop")(lambda n=1: n)


@pytest.fixture
def conn(queue, noop, tmp_path):
    noop.delay()  # the file exists from now on
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as connection:
        yield connection


class TestUsing:
    def test_every_way_of_enqueuing_goes_through_the_connection(self, queue, store, noop, conn):
        inside = noop.using(conn=conn)
        assert inside.delay().id == "1-id"
        assert [job.id for job in inside.using(priority=3).map([(1,), (2,)])] == ["1-id", "2-id"]
        assert asyncio.run(inside.adelay()).id == "1-id"
        queue.enqueue_many([inside.call(), inside.call()])
        assert store.given == [(conn, ["noop"] * n) for n in (1, 2, 1, 2)]

    def test_calls_of_several_connections_are_no_batch(self, queue, store, noop, conn):
        with pytest.raises(InvalidOption, match="conn=.*same connection"):
            queue.enqueue_many([noop.using(conn=conn).call(), noop.call()])
        assert store.given == []

    def test_a_coroutine_uses_it_in_its_own_thread(self, queue, store, noop, conn, monkeypatch):
        threads = []
        monkeypatch.setattr(
            queue._store, "enqueue_in", lambda *_: threads.append(threading.get_ident()) or ["1-id"]
        )
        asyncio.run(noop.using(conn=conn).adelay())
        assert threads == [threading.get_ident()]


class TestBlock:
    def test_it_wakes_after_the_commit(self, queue, store, conn):
        with queue.transaction(conn):
            conn.execute("BEGIN")
            assert store.announced == 0
            conn.execute("COMMIT")
        assert store.announced == 1

    def test_a_transaction_that_goes_on_wakes_nobody(self, queue, store, conn):
        with queue.transaction(conn):
            conn.execute("BEGIN")
        assert (store.announced, conn.in_transaction) == (0, True)
        conn.rollback()

    def test_an_error_passes_through(self, queue, store, conn):
        with pytest.raises(ValueError, match="mine"), queue.transaction(conn):
            raise ValueError("mine")
        conn.close()
        with pytest.raises(sqlite3.ProgrammingError), queue.transaction(conn):
            conn.execute("BEGIN")

    def test_a_block_may_end_in_another_context_than_it_began_in(self, queue, store, noop, conn):
        # As a dependency of FastAPI that is no coroutine, whose two ends are in threads.
        block = queue.transaction(conn)
        copy_context().run(block.__enter__)
        conn.execute("BEGIN")
        noop.using(conn=conn).delay()
        conn.execute("COMMIT")
        copy_context().run(block.__exit__, None, None, None)
        assert store.announced == 1

    def test_a_plain_delay_that_would_wait_for_itself_gives_up_soon(self, queue, store, noop, conn):
        began = time.monotonic()
        with queue.transaction(conn):
            conn.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match=r"this thread's own.*using\(conn=conn\)"):
                noop.delay()
            conn.execute("ROLLBACK")
        assert 0.5 < time.monotonic() - began < 10
        assert noop.delay().status == "pending"

    def test_a_coroutine_that_would_wait_for_its_own_thread_gives_up_soon(
        self, queue, store, noop, conn
    ):
        async def main():
            with queue.transaction(conn):
                conn.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreBusy, match=r"using\(conn=conn\)"):
                    await noop.adelay()
                conn.execute("ROLLBACK")
                return await noop.adelay()

        assert asyncio.run(main()).status == "pending"

    def test_a_plain_delay_in_a_block_that_holds_nothing_is_as_ever(self, queue, store, noop, conn):
        with queue.transaction(conn):
            assert noop.delay(5).status == "pending"
            conn.execute("BEGIN")
            job = noop.delay(6)
            conn.execute("COMMIT")
        assert job.args == (6,)
        assert queue.get_job(job.id) == job

    def test_a_second_queue_on_the_file_gives_up_soon_as_well(self, queue, store, conn, tmp_path):
        second = Queue(f"sqlite:///{tmp_path}/jobs.db", durability="normal", busy_timeout=20)
        theirs = second.task(name="theirs")(lambda: None)
        began = time.monotonic()
        with queue.transaction(conn):
            conn.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match=r"this thread's own.*using\(conn=conn\)"):
                theirs.delay()
            conn.execute("ROLLBACK")
        assert time.monotonic() - began < 10
        assert theirs.delay().status == "pending"
        second.close()

    def test_other_threads_and_other_queues_have_their_own_patience(
        self, queue, store, noop, conn, tmp_path
    ):
        other = Queue(db_path=tmp_path / "other.db", durability="normal")
        theirs = other.task(name="noop")(lambda: None)
        held = []
        with queue.transaction(conn):
            conn.execute("BEGIN")
            assert queue._client.transactions.in_the_way()
            assert not other._client.transactions.in_the_way()
            assert theirs.delay().status == "pending"
            thread = threading.Thread(
                target=lambda: held.append(queue._client.transactions.in_the_way())
            )
            thread.start()
            thread.join()
            conn.execute("COMMIT")
        other.close()
        assert held == [False]
        assert not queue._client.transactions.in_the_way()


class Psycopg:
    """A connection that tells of its transaction as psycopg's do."""

    def __init__(self, status):
        self.info = type("Info", (), {"transaction_status": status})()


@pytest.mark.parametrize(("status", "announced"), [(0, 1), (2, 0)])
def test_the_state_of_other_drivers_is_understood(queue, store, status, announced):
    with queue.transaction(Psycopg(status)):
        pass
    assert store.announced == announced


class TestSqlAlchemy:
    @pytest.fixture
    def engine(self, tmp_path, conn):
        sqlalchemy = pytest.importorskip("sqlalchemy", reason="one of what conn= may be")
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
        yield engine
        engine.dispose()

    def test_a_connection_is_given_as_it_is(self, queue, store, noop, engine):
        with engine.connect() as connection, queue.transaction(connection):
            connection.begin()
            noop.using(conn=connection).delay()
            assert queue._client.transactions.in_the_way()
            connection.commit()
        assert store.given[0][0] is connection
        assert store.announced == 1

    def test_a_session_announces_each_commit_and_no_rollback(self, store, noop, engine):
        orm = pytest.importorskip("sqlalchemy.orm")
        with orm.Session(engine) as session:
            inside = noop.using(conn=session)
            session.begin()
            inside.delay()
            inside.delay()
            session.rollback()
            assert store.announced == 0
            session.begin()
            inside.delay()
            session.commit()
            assert store.announced == 1
        assert [connection for connection, _ in store.given] == [session] * 3

    def test_a_scoped_session_is_its_session(self, store, noop, engine):
        orm = pytest.importorskip("sqlalchemy.orm")
        scoped = orm.scoped_session(orm.sessionmaker(engine))
        scoped.begin()
        noop.using(conn=scoped).delay()
        scoped.commit()
        scoped.remove()
        assert (len(store.given), store.announced) == (1, 1)

    def test_without_a_transaction_none_is_begun(self, store, noop, engine):
        orm = pytest.importorskip("sqlalchemy.orm")
        with orm.Session(engine) as session:
            with pytest.raises(InvalidConnection, match="no transaction is open"):
                noop.using(conn=session).delay()
            assert not session.in_transaction()
        with pytest.raises(InvalidConnection, match="Engine.*Connection or a Session"):
            noop.using(conn=engine).delay()
        assert store.given == []
