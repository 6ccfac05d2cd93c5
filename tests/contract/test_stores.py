"""The contract suite, over the stores of ours."""

import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from mainspring.stores.memory import MemoryStore
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.redis import RedisStore
from mainspring.stores.sqlite import SqliteStore
from mainspring.testing.contracts.store import StoreContract

NO_NODE = 999_999


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)

    @pytest.fixture
    def forge_node(self):
        def forge(store, job_id):
            job = store._ledger.find(job_id)
            del store._nodes[job.node].held[job.key]
            job.node = NO_NODE

        return forge


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        store = SqliteStore(tmp_path / "jobs.db", durability="normal", clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def forge_node(self, tmp_path):
        def forge(_store, job_id):
            key = int(job_id.partition("-")[0])
            with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, connection:
                connection.execute(
                    "UPDATE mainspring_jobs SET node = ? WHERE key = ?", (NO_NODE, key)
                )

        return forge


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, clock, namespace_url):
        store = RedisStore(namespace_url, durability="normal", clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def forge_node(self):
        def forge(store, job_id):
            server = store._open().server
            job = f"{server.address.prefix}job:{job_id.partition('-')[0]}"
            connection = server.connect()
            connection.send_command("HSET", job, "node", NO_NODE)
            connection.read_response()
            connection.disconnect()

        return forge


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, postgres_url):
        store = PostgresStore(postgres_url, durability="normal", clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def forge_node(self, postgres_database, postgres_url):
        schema = parse_qs(urlsplit(postgres_url).query)["schema"][0]

        def forge(_store, job_id):
            key = int(job_id.partition("-")[0])
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                forged = f"UPDATE {schema}.jobs SET node = %s WHERE key = %s"
                connection.execute(forged, (NO_NODE, key))

        return forge
