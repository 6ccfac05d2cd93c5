"""An idle slot at the ear: it hears for itself, and is there for claims as any other slot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from mainspring.model.job import ANY_JOB


class Ear:
    """An ear that tests ring by hand."""

    def __init__(self):
        self.news = SimpleQueue()
        self.waits = threading.Semaphore(0)

    def wait(self, timeout=None):
        assert timeout is None
        self.waits.release()
        return self.news.get(timeout=30)

    def ring(self):
        self.news.put(ANY_JOB)

    def poke(self):
        self.news.put(None)


@pytest.fixture
def ear():
    return Ear()


def listen(rig, ear, heard=lambda: None):
    """Start the rig with one slot at the ear."""
    rig.executor.hear(ear, heard)
    rig.start()
    assert ear.waits.acquire(timeout=10)


def test_a_slot_at_the_ear_takes_a_claim_when_the_others_are_busy(make_rig, ear, gate, eventually):
    rig = make_rig("thread", size=2)
    rig.task(lambda: gate.wait(30), name="long")
    rig.task(lambda: None, name="noop")
    listen(rig, ear)
    rig.submit("long")
    eventually(lambda: rig.executor.running() == 1)
    rig.submit("noop")
    eventually(lambda: rig.kinds() == ["completed"])


def test_what_is_submitted_on_hearing_runs_in_the_thread_that_heard(make_rig, ear, eventually):
    rig = make_rig("thread", size=3)
    threads = []
    rig.task(lambda: threads.append(threading.get_ident()), name="note")

    def heard():
        threads.append(threading.get_ident())
        rig.submit("note")

    listen(rig, ear, heard)
    ear.ring()
    eventually(lambda: len(rig.outcomes) == 1)
    assert threads[0] == threads[1]


def test_of_many_that_are_submitted_on_hearing_the_others_run_too(make_rig, ear, gate, eventually):
    rig = make_rig("thread", size=3)
    rig.task(lambda: gate.wait(30), name="long")
    listen(rig, ear, lambda: rig.executor.submit([rig.claim("long") for _ in range(3)]))
    ear.ring()
    eventually(lambda: rig.executor.running() == 3)


def test_what_a_slot_keeps_can_be_withdrawn_in_its_thread(make_rig, ear, eventually):
    rig = make_rig("thread", size=1)
    rig.task(lambda: None, name="noop")
    withdrawn = []

    def heard():
        claims = [rig.claim("noop") for _ in range(2)]
        rig.executor.submit(claims)
        withdrawn.append((claims, rig.executor.withdraw(rig.executor.waiting())))

    listen(rig, ear, heard)
    ear.ring()
    eventually(lambda: withdrawn)
    claims, back = withdrawn[0]
    assert back == claims
    assert ear.waits.acquire(timeout=10)
    assert rig.outcomes == []


def test_one_slot_waits_at_the_ear_and_the_next_takes_its_place(make_rig, ear, gate, eventually):
    rig = make_rig("thread", size=2)
    rig.task(lambda: gate.wait(30), name="long")
    rig.task(lambda: None, name="noop")
    listen(rig, ear, lambda: rig.submit("long"))
    ear.ring()
    eventually(lambda: rig.executor.running() == 1)
    rig.submit("noop")
    assert ear.waits.acquire(timeout=10)
    eventually(lambda: rig.kinds() == ["completed"])


def test_an_exception_that_strikes_a_slot_on_its_way_to_the_ear_leaves_the_ear_free(make_rig, ear):
    executor = make_rig("thread", size=1).executor
    executor.hear(ear, lambda: None)
    lock = executor._at_ear

    class Struck:
        release = lock.release

        def acquire(self, **options):
            lock.acquire(**options)
            raise KeyboardInterrupt

    executor._at_ear = Struck()
    with pytest.raises(KeyboardInterrupt):
        executor._next_claim([])
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lock.acquire, blocking=False).result(10)
