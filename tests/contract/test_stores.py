"""The contract suite, over the stores of ours."""

import pytest

from mainspring.stores.memory import MemoryStore
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.redis import RedisStore
from mainspring.stores.sqlite import SqliteStore
from mainspring.testing.contracts.store import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        store = SqliteStore(tmp_path / "jobs.db", durability="normal", clock=clock)
        yield store
        store.close()


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, clock, namespace_url):
        store = RedisStore(namespace_url, durability="normal", clock=clock)
        yield store
        store.close()


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, postgres_url):
        store = PostgresStore(postgres_url, durability="normal", clock=clock)
        yield store
        store.close()
