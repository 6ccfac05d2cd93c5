"""What happens to those who enqueue together when one of them is interrupted."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mainspring.model.job import NewJob
from mainspring.stores.sqlite.intake import groups
from mainspring.stores.sqlite.intake.batch import Batch

JOB = NewJob(task="task", queue="queue", payload=b"[[],{}]")


@pytest.fixture
def store(store):
    store.enqueue_many([JOB])
    return store


def test_an_interrupted_leader_leaves_the_others_batches_to_the_next(store, monkeypatch):
    writing, interrupt = threading.Event(), threading.Event()
    commit = store._session.intake._commit

    def interrupted(group, _leader):
        monkeypatch.setattr(store._session.intake, "_commit", commit)
        writing.set()
        interrupt.wait(30)
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
    batch = Batch([], frame=sys._getframe())
    intake = store._session.intake
    intake._waiting.append(batch)
    intake._leading["lead"] = batch
    follower = ThreadPoolExecutor(1)
    waiting = follower.submit(store.enqueue_many, [JOB])
    while len(intake._waiting) < 2:
        threading.Event().wait(0.001)
    intake._withdraw(batch)
    assert len(waiting.result(30)) == 1
    follower.shutdown()


def test_who_waits_leads_when_the_leaders_call_is_over(store):
    over = Batch([], frame=frame_of_a_call_that_is_over())
    intake = store._session.intake
    intake._leading["lead"] = over
    assert len(store.enqueue_many([JOB])) == 1


def test_a_batch_that_a_leader_took_with_it_is_taken_by_the_next(store):
    over = Batch([], frame=frame_of_a_call_that_is_over())
    intake = store._session.intake
    intake._taken = TakenBy(over)
    assert len(store.enqueue_many([JOB])) == 1
    assert store.stats()["queue"]["pending"] == 2


@pytest.mark.parametrize("options", [{}, {"unique": "one", "on_conflict": "raise"}])
def test_what_an_interrupted_leader_has_committed_is_not_committed_again(
    store, monkeypatch, options
):
    """It was interrupted between the commit and its answers to the others."""
    leading, interrupt = threading.Event(), threading.Event()
    commit = store._session.intake._commit

    def interrupted(group, leader):
        leading.set()
        interrupt.wait(30)
        # Those who wait by now are of its group, too.
        intake = store._session.intake
        others = [one for one in intake._waiting if one not in group]
        group.extend(one for one in others if intake._taken.setdefault(one, leader) is leader)
        monkeypatch.setattr(intake, "_commit", commit)
        with monkeypatch.context() as patched:
            patched.setattr(groups, "settle", raise_interrupt)
            commit(group, leader)

    monkeypatch.setattr(store._session.intake, "_commit", interrupted)
    with ThreadPoolExecutor(3) as threads:
        leader = threads.submit(store.enqueue_many, [JOB, JOB])
        leading.wait(30)
        followers = [
            threads.submit(store.enqueue_many, [replace(JOB, **options)]),
            threads.submit(store.enqueue_many, [JOB]),
        ]
        while len(store._session.intake._waiting) < 3:
            threading.Event().wait(0.001)
        interrupt.set()
        with pytest.raises(KeyboardInterrupt):
            leader.result(30)
        ids = [follower.result(30)[0] for follower in followers]
    assert all(store.get(job_id) is not None for job_id in ids)
    assert store.stats()["queue"]["pending"] == 1 + 2 + 2


def raise_interrupt(*_):
    raise KeyboardInterrupt


def frame_of_a_call_that_is_over():
    return sys._getframe()


class TakenBy(dict):
    """Says of the first batch that somebody has taken it already."""

    def __init__(self, taker):
        super().__init__()
        self.taker = taker

    def setdefault(self, batch, leader):
        taker, self.taker = self.taker, None
        return super().setdefault(batch, taker or leader)


def test_the_bell_is_no_part_of_the_commit(store, monkeypatch):
    def broken(_topic, _keys):
        raise OSError(24, "Too many open files")

    store._session.notify("ready")
    monkeypatch.setattr(store._session._notifiers[0], "notify", broken)
    assert len(store.enqueue_many([JOB])) == 1
