"""A store of its own file for each test."""

import pytest

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
