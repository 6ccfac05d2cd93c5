"""Leases that somebody else has written, which would never end: they have run out, on every store.

A node's jobs and locks are held by its lease, an idempotency key by the time until which it stands.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest
from redis import Redis

from mainspring.model.job import NewJob, Want
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.redis import RedisStore
from mainspring.stores.sqlite import SqliteStore

FOREVER = 10**18
"""More than 31,000 years of microseconds; the checks of PostgreSQL's tables admit no more."""


class SqliteForger:
    """Writes into the file of a store."""

    def __init__(self, request):
        self._path = request.getfixturevalue("tmp_path") / "jobs.db"
        self.store = SqliteStore(self._path, durability="normal")

    def write_node(self, node, column, value):
        self._write(f"UPDATE mainspring_nodes SET {column} = ? WHERE node = ?", value, node)

    def keep_answers(self):
        self._write("UPDATE mainspring_idempotency SET until = ?", FOREVER)

    def _write(self, statement, *values):
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            assert connection.execute(statement, values).rowcount == 1


class RedisForger:
    """Writes into the keys of a store."""

    def __init__(self, request):
        url = request.getfixturevalue("namespace_url")
        self._url, _, namespace = url.partition("?namespace=")
        self._tag = f"{{{namespace}}}:"
        self.store = RedisStore(url, durability="normal")

    def write_node(self, node, field, value):
        with Redis.from_url(self._url) as client:
            assert client.hset(f"{self._tag}node:{node}", field, value) == 0

    def keep_answers(self):
        with Redis.from_url(self._url) as client:
            (key,) = client.scan_iter(match=f"{self._tag}answer:*", count=1000)
            _, job_id = client.get(key).split()
            client.set(key, b"%d %s" % (FOREVER, job_id))


class PostgresForger:
    """Writes into the tables of a store."""

    def __init__(self, request):
        url = request.getfixturevalue("postgres_url")
        self._database = request.getfixturevalue("postgres_database")
        self._schema = url.rpartition("schema=")[2]
        self.store = PostgresStore(url, durability="normal")

    def write_node(self, node, column, value):
        self._write(f"UPDATE {self._schema}.nodes SET {column} = %s WHERE node = %s", value, node)

    def keep_answers(self):
        self._write(f"UPDATE {self._schema}.idempotency SET until = %s", FOREVER)

    def _write(self, statement, *values):
        with psycopg.connect(self._database, autocommit=True) as connection:
            assert connection.execute(statement, values).rowcount == 1


FORGERS = {"sqlite": SqliteForger, "redis": RedisForger, "postgres": PostgresForger}


@pytest.fixture
def forger(request, kind):
    forger = FORGERS[kind](request)
    yield forger
    forger.store.close()


leases = pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("sqlite", "lease_until", FOREVER),
        ("sqlite", "lease_until", "odd"),
        ("redis", "lease_until", FOREVER),
        ("redis", "lease_until", "odd"),
        ("postgres", "lease", FOREVER),
        ("postgres", "renewed_at", FOREVER),
    ],
)


def join(store):
    return store.join("node", host="here", pid=1, lease=60)


@leases
def test_a_node_with_a_lease_that_would_never_end_is_rescued(forger, column, value):
    store, node = forger.store, join(forger.store)
    store.enqueue_many([NewJob(task="add", queue="default", payload=b"[[],{}]")])
    (claim,) = store.exchange(node, [], [Want(("add",), None, 1)]).claims
    assert store.rescue(node, dead=False, begun=[]) is None
    forger.write_node(node, column, value)
    (seen,) = store.nodes()
    assert seen.expires_in <= 0
    assert seen.unreadable == ("lease_until",)
    assert store.rescue(node, dead=False, begun=[]).requeued == [claim.key]


@leases
def test_a_node_with_a_lease_that_would_never_end_gets_no_lock(forger, column, value):
    store, node = forger.store, join(forger.store)
    forger.write_node(node, column, value)
    assert store.acquire(node, "stock") is None
    assert store.renew(node, lease=60) is not None
    assert store.acquire(node, "stock")


@leases
def test_a_lock_is_free_when_the_lease_of_its_holder_would_never_end(forger, column, value):
    store, holder = forger.store, join(forger.store)
    fence = store.acquire(holder, "stock")
    forger.write_node(holder, column, value)
    assert store.rescue(holder, dead=False, begun=[]) is not None
    assert store.acquire(join(store), "stock") > fence


@pytest.mark.parametrize("kind", FORGERS)
def test_an_idempotency_key_that_would_stand_for_ever_stands_for_no_job(forger):
    job = NewJob(task="add", queue="default", payload=b"[[],{}]", idempotency_key="order-1")
    store, (first,) = forger.store, forger.store.enqueue_many([job])
    assert store.enqueue_many([job]) == [first]
    forger.keep_answers()
    (second,) = store.enqueue_many([job])
    assert second != first
    assert store.enqueue_many([job]) == [second]
