"""How often a worker takes the write lock of a SQLite file, which all others wait for."""

import sys
from contextlib import closing

import pytest

from mainspring import Queue
from mainspring.engine.claims import slots
from mainspring.model.job import NewJob
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.file.write_lock import WriteLock

HEARTBEAT = 0.2


@pytest.fixture
def writes(monkeypatch):
    """The verbs of the store that took the write lock, in order."""
    verbs = []
    acquire = WriteLock.acquire

    def recorded(self, timeout):
        frame = sys._getframe(1)
        while not isinstance(frame.f_locals.get("self"), SqliteStore):
            frame = frame.f_back
        verbs.append(frame.f_code.co_name)
        return acquire(self, timeout)

    monkeypatch.setattr(WriteLock, "acquire", recorded)
    return verbs


@pytest.fixture
def queue(tmp_path, monkeypatch):
    # On a busy machine a claim may wait for so long that it is given back, and claimed anew.
    monkeypatch.setattr(slots, "STALE_SECONDS", 60.0)
    queue = Queue(db_path=tmp_path / "jobs.db", workers=2, heartbeat=HEARTBEAT, lease=30.0)
    with closing(queue):
        yield queue


@pytest.fixture(params=["thread", "async"])
def add(request, queue):
    if request.param == "thread":

        @queue.task(name="add")
        def add(first, second):
            return first + second

        return add

    @queue.task(name="add")
    async def aadd(first, second):
        return first + second

    return aadd


@pytest.fixture
def quiet(writes, until):
    """Wait for so many heartbeats more; each is a commit, after which an exchange looks."""

    def wait(beats):
        wanted = writes.count("renew") + beats
        until(lambda: writes.count("renew") >= wanted)

    return wait


def test_an_idle_worker_takes_the_write_lock_for_its_heartbeat_alone(queue, add, writes, quiet):
    with queue.worker():
        add.delay(1, 2).result(timeout=10)
        quiet(2)
        del writes[:]
        quiet(4)
        assert set(writes) == {"renew"}


def test_a_lone_job_costs_one_claim_and_one_finish(queue, add, writes, quiet):
    with queue.worker():
        add.delay(1, 2).result(timeout=10)
        quiet(2)
        del writes[:]
        assert add.delay(1, 2).result(timeout=10) == 3
        quiet(4)
        assert [verb for verb in writes if verb != "renew"] == [
            "enqueue_many",
            "exchange",
            "exchange",
        ]


def test_a_purge_and_an_expiry_with_nothing_to_do_take_no_write_lock(tmp_path, writes):
    store = SqliteStore(tmp_path / "jobs.db")
    store.enqueue_many([NewJob(task="task", queue="queue", payload=b"[[],{}]")])
    del writes[:]
    assert store.purge(completed_after=60.0, failed_after=60.0, limit=10) == 0
    assert len(store.expire(limit=10)) == 0
    assert not writes
    store.close()
