"""What happens to those who enqueue together when one of them is interrupted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.model.job import NewJob
from mainspring.stores.sqlite.intake.batch import Batch

JOB = NewJob(task="task", queue="queue", payload=b"[[],{}]")


@pytest.fixture
def store(store):
    store.enqueue_many([JOB])
    return store


def test_an_interrupted_leader_leaves_the_others_batches_to_the_next(store, monkeypatch):
    writing, interrupt = threading.Event(), threading.Event()
    commit = store._session.intake._commit

    def interrupted(group):
        monkeypatch.setattr(store._session.intake, "_commit", commit)
        writing.set()
        interrupt.wait(30)
        group.extend(store._session.intake._waiting)
        store._session.intake._waiting.clear()
        raise KeyboardInterrupt

    monkeypatch.setattr(store._session.intake, "_commit", interrupted)
    with ThreadPoolExecutor(3) as threads:
        leader = threads.submit(store.enqueue_many, [JOB])
        writing.wait(30)
        followers = [threads.submit(store.enqueue_many, [JOB]) for _ in range(2)]
        while len(store._session.intake._waiting) < 2:
            threading.Event().wait(0.001)
        interrupt.set()
        with pytest.raises(KeyboardInterrupt):
            leader.result(30)
        assert [len(follower.result(30)) for follower in followers] == [1, 1]
    assert store.stats()["queue"]["pending"] == 3


def test_an_interrupted_follower_passes_the_lead_on(store):
    batch = Batch([])
    store._session.intake._waiting.append(batch)
    store._session.intake._led = True
    batch.leads = True
    follower = ThreadPoolExecutor(1)
    waiting = follower.submit(store.enqueue_many, [JOB])
    while len(store._session.intake._waiting) < 2:
        threading.Event().wait(0.001)
    store._session.intake._withdraw(batch)
    assert len(waiting.result(30)) == 1
    follower.shutdown()


def test_the_bell_is_no_part_of_the_commit(store, monkeypatch):
    def broken(topic):
        raise OSError(24, "Too many open files")

    store._session.ring("ready")
    monkeypatch.setattr(store._session._ringer, "ring", broken)
    assert len(store.enqueue_many([JOB])) == 1
