"""The reading connections of one process: however many threads open some, all are closed."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.stores.sqlite.file.database import DatabaseFile

THREADS = 6


def is_open(connection):
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.fixture
def opened(monkeypatch):
    """Every connection that is opened, by threads that all begin to at once."""
    connect, connections = DatabaseFile.connect, []
    meet = threading.Barrier(THREADS)

    def connect_together(file, **options):
        connection = connect(file, **options)
        connections.append(connection)
        meet.wait(20)
        return connection

    monkeypatch.setattr(DatabaseFile, "connect", connect_together)
    return connections


@pytest.fixture
def ready(store):
    """A store whose file is there, so that only readers open something."""
    store.stats()
    store._session.readers.close()
    return store


def lend(store):
    with store._session.readers.lend() as connection:
        connection.execute("SELECT 1").fetchall()


@pytest.mark.parametrize(
    "use", [lambda store: store._session.readers.data_version(), lend], ids=["watch", "lend"]
)
def test_connections_that_threads_open_at_once_are_all_closed(ready, opened, use):
    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(use, ready) for _ in range(THREADS)]:
            done.result(20)
    assert len(opened) == THREADS
    ready.close()
    assert not any(is_open(connection) for connection in opened)


def test_one_connection_is_left_to_look_for_commits(ready, opened):
    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(ready._session.readers.data_version) for _ in range(THREADS)]:
            done.result(20)
    assert sum(is_open(connection) for connection in opened) == 1
    before = ready._session.readers.data_version()
    ready.pause("queue")
    assert ready._session.readers.data_version() != before


def test_the_watch_is_closed_by_who_asks_it_last_and_not_under_a_thread_that_asks(
    ready, monkeypatch
):
    connect, watches = DatabaseFile.connect, []
    asked, answer = threading.Event(), threading.Event()

    class Slow:
        """A connection whose statement is under way until the test says so."""

        def __init__(self, connection):
            self.connection = connection

        def execute(self, statement):
            asked.set()
            assert answer.wait(20)
            return self.connection.execute(statement)

        def close(self):
            self.connection.close()

    def connect_slow(file, **options):
        watches.append(connect(file, **options))
        return Slow(watches[-1])

    monkeypatch.setattr(DatabaseFile, "connect", connect_slow)
    with ThreadPoolExecutor(1) as threads:
        version = threads.submit(ready._session.readers.data_version)
        assert asked.wait(20)
        ready._session.readers.close()
        assert is_open(watches[0])
        answer.set()
        assert version.result(20) >= 1
    assert not is_open(watches[0])
