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
