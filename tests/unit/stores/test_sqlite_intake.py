"""What happens to those who enqueue together when one of them is interrupted."""

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mainspring.errors import StoreBusy
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


def test_an_interrupted_leader_that_committed_nothing_passes_the_lead_on(store):
    batch = batch_of(sys._getframe())
    intake = store._session.intake
    intake._waiting.append(batch)
    with ThreadPoolExecutor(1) as follower:
        waiting = follower.submit(store.enqueue_many, [JOB])
        while len(intake._waiting) < 2:
            threading.Event().wait(0.001)
        intake._leave(batch)
        assert len(waiting.result(30)) == 1


def test_who_waits_leads_when_the_leaders_call_is_over(store):
    intake = store._session.intake
    intake._waiting.extend(batch_of(frame) for frame in (frame_of_a_call_that_is_over(), None))
    assert len(store.enqueue_many([JOB])) == 1
    assert not intake._waiting


def test_a_batch_that_is_settled_between_two_looks_has_its_answer(store, monkeypatch):
    intake = store._session.intake
    first = intake._first

    def settled_just_before():
        monkeypatch.setattr(intake, "_first", first)
        intake._lead(first())
        return first()

    monkeypatch.setattr(intake, "_first", settled_just_before)
    assert len(store.enqueue_many([JOB])) == 1
    assert store.stats()["queue"]["pending"] == 2


def test_a_handler_that_interrupts_the_leader_is_refused_what_would_wait_for_it(store, monkeypatch):
    refused = []

    def enqueue(*_):
        with pytest.raises(StoreBusy, match="this thread, which was interrupted"):
            store.enqueue_many([JOB])
        refused.append(True)

    before = signal.signal(signal.SIGUSR1, enqueue)
    commit = store._session.intake._commit

    def interrupted(group, leader):
        signal.raise_signal(signal.SIGUSR1)
        commit(group, leader)

    monkeypatch.setattr(store._session.intake, "_commit", interrupted)
    try:
        assert len(store.enqueue_many([JOB])) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert refused
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
        group.extend(one for one in intake._waiting if one not in group)
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


def batch_of(frame):
    batch = Batch([])
    batch.frame = frame
    return batch


def test_the_bell_is_no_part_of_the_commit(store, monkeypatch):
    def broken(_topic, _keys):
        raise OSError(24, "Too many open files")

    store._session.notify("ready")
    monkeypatch.setattr(store._session._notifiers[0], "notify", broken)
    assert len(store.enqueue_many([JOB])) == 1
