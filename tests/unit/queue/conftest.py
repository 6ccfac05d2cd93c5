"""Queues over every store that keeps to the whole seam."""

from __future__ import annotations

import pytest

from mainspring import Queue
from mainspring.stores.sqlite.store import SqliteStore

# SQLite joins by itself, as soon as its store has learned the rest of the seam.
STORES = ["memory", "sqlite"] if hasattr(SqliteStore, "lanes") else ["memory"]


@pytest.fixture(params=STORES)
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def make_queue(url):
    queues = []

    def make(**options):
        queues.append(Queue(url, **{"workers": 2, "durability": "normal", "grace": 5, **options}))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(make_queue):
    return make_queue()


@pytest.fixture
def add(queue):
    @queue.task(name="add")
    def add(a, b=2):
        return a + b

    return add


@pytest.fixture
def fail(queue):
    @queue.task(name="fail", retries=0)
    def fail(kind="ValueError", message="no luck"):
        raise {"ValueError": ValueError, "KeyError": KeyError}[kind](message)

    return fail


@pytest.fixture
def failed(queue, fail, eventually):
    """Make a job that has failed."""

    def make(*args):
        job = fail.delay(*args)
        with queue.worker():
            eventually(lambda: job.status == "failed")
        return job

    return make
