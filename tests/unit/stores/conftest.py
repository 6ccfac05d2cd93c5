"""A store of its own file for each test."""

import psycopg
import pytest

from mainspring.stores.postgres import PostgresStore
from mainspring.stores.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path):
    """Where the file will be; nothing is there yet."""
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path):
    """A store on that file, which is made at its first use."""
    store = SqliteStore(path, durability="normal")
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres_url):
    """A store in a schema of its own."""
    store = PostgresStore(postgres_url, durability="normal")
    yield store
    store.close()


@pytest.fixture
def connection(postgres_database):
    """A connection of one's own to the tests' PostgreSQL."""
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def let_go(connection, postgres_url):
    """Have so many jobs been in the first lane, before all others; only their pages are left."""
    schema = postgres_url.rpartition("schema=")[2]

    def let_go(count):
        connection.execute(
            f"INSERT INTO {schema}.jobs"
            " (key, nonce, lane, state, priority, run_at, created_at, payload)"
            " SELECT 1000000 + number, 0, lane, 0, 0, 0, 0, '[[],{}]'"
            f" FROM {schema}.lanes, generate_series(1, {count}) AS number"
        )
        connection.execute(f"DELETE FROM {schema}.jobs WHERE key > 1000000")

    return let_go
