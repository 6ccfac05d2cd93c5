"""What an exception leaves open that comes while a file is opened or used: nothing, if it is kept.

Who has caught an exception may keep it for long (a notebook does), and with it whatever its frames
hold: a connection that is open there keeps the file open, and the log from being folded.
"""

import gc
import sqlite3
from itertools import count
from weakref import WeakSet

import psycopg
import pytest
import redis

from interrupts import WAYS, Interrupts
from mainspring import Queue, SQLiteCache

# What is dropped half made closes itself, and Python 3.13 says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Connection(sqlite3.Connection):
    """A connection that knows whether it was closed."""

    is_open = True

    def close(self):
        super().close()
        self.is_open = False


@pytest.fixture
def opened(monkeypatch):
    """Return the connections that are open now, those in frames of exceptions included."""
    connect, made = sqlite3.connect, WeakSet()

    def connect_as_ours(*arguments, **options):
        connection = connect(*arguments, factory=Connection, **options)
        made.add(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_as_ours)
    return lambda: [connection for connection in made if connection.is_open]


def enqueue(path):
    queue = Queue(db_path=path, durability="normal")
    task = queue.task(name="nop")(print)
    return lambda: task.delay(1), queue.close


def look(path):
    queue = Queue(db_path=path, durability="normal")
    return lambda: queue.jobs(limit=1), queue.close


def look_again(path):
    queue = Queue(db_path=path, durability="normal")
    queue.jobs(limit=1)
    return lambda: queue.jobs(limit=1), queue.close


def close(path):
    queue = Queue(db_path=path, durability="normal")
    queue.task(name="nop")(print).delay(1)
    queue.jobs(limit=1)
    return queue.close, queue.close


def listen(path):
    queue = Queue(db_path=path, durability="normal")

    def wait_for_news():
        listener = queue.store.listen("ready")
        try:
            listener.wait(0)
        finally:
            listener.close()

    return wait_for_news, queue.close


def cache(path):
    kept = SQLiteCache(f"{path}.cache")
    return lambda: kept._run_here(lambda db: db.execute("SELECT 1").fetchone()), kept.close


@pytest.fixture
def opened_to_server(monkeypatch):
    """Return the connections to PostgreSQL and Redis that are open now."""
    made = WeakSet()
    connect, link = psycopg.connect, redis.connection.AbstractConnection.connect

    def connect_as_ours(*arguments, **options):
        connection = connect(*arguments, **options)
        made.add(connection)
        return connection

    def link_as_ours(connection):
        made.add(connection)
        return link(connection)

    monkeypatch.setattr(psycopg, "connect", connect_as_ours)
    monkeypatch.setattr(redis.connection.AbstractConnection, "connect", link_as_ours)

    def is_open(connection):
        if isinstance(connection, psycopg.Connection):
            return not connection.closed
        return connection._sock is not None

    return lambda: [connection for connection in made if is_open(connection)]


@pytest.mark.parametrize("url", ["postgres", "redis"], indirect=True)
def test_an_interrupted_first_use_leaves_no_connection_to_a_server_open(url, opened_to_server):
    for moment in count(0, 5):
        queue = Queue(url)
        interrupts, kept = Interrupts(moment), None
        gc.disable()  # an exception in a finalizer goes nowhere
        try:
            with WAYS["calls"](interrupts):
                queue.jobs(limit=1)
        except KeyboardInterrupt as error:
            kept = error
        queue.close()
        left = opened_to_server()
        gc.enable()
        assert left == [], f"interrupted at {moment}: {interrupts.place}"
        if kept is None:
            break
    assert moment > 10


USES = [
    *((use, way) for use in (enqueue, look, listen) for way in ("lines", "calls")),
    *((use, way) for use in (look_again, close) for way in ("lines", "calls")),
    (cache, "calls"),  # a `with` gives its lock back after any call, but not between two lines
]


@pytest.mark.parametrize(("use", "way"), USES)
def test_an_interrupted_use_leaves_no_connection_open(tmp_path, opened, use, way):
    interrupt_use(tmp_path, opened, use, way, count(0, 3))


@pytest.mark.long
@pytest.mark.parametrize(("use", "way"), USES)
def test_a_use_that_is_interrupted_anywhere_leaves_no_connection_open(tmp_path, opened, use, way):
    interrupt_use(tmp_path, opened, use, way, count())


def interrupt_use(tmp_path, opened, use, way, moments):
    """Interrupt it at each of the moments, until it ends before its moment."""
    path = tmp_path / "jobs.db"
    call, close = use(path)
    call()
    close()
    for moment in moments:
        call, close = use(path)
        interrupts, kept = Interrupts(moment), None
        gc.disable()  # an exception in a finalizer goes nowhere
        try:
            with WAYS[way](interrupts):
                call()
        except KeyboardInterrupt as error:
            kept = error
        close()
        left = opened()
        gc.enable()
        assert left == [], f"interrupted at {way} {moment}: {interrupts.place}"
        if kept is None:
            break
    assert moment > 10
