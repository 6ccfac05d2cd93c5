"""An idle slot that listens: it waits for notices, and takes claims as any other slot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from mainspring.model.job import ANY_JOB


class FakeListener:
    """A listener that tests notify by hand."""

    def __init__(self):
        self.notices = SimpleQueue()
        self.waits = threading.Semaphore(0)

    def wait(self, timeout=None):
        assert timeout is None
        self.waits.release()
        return self.notices.get(timeout=30)

    def notify(self):
        self.notices.put(ANY_JOB)

    def poke(self):
        self.notices.put(None)


@pytest.fixture
def listener():
    return FakeListener()


def listen(rig, listener, on_notice=lambda: None):
    """Start the rig with one slot at the listener."""
    rig.executor.listen_when_idle(listener, on_notice)
    rig.start()
    assert listener.waits.acquire(timeout=10)


def test_a_slot_that_listens_takes_a_claim_when_the_others_are_busy(
    make_rig, listener, gate, eventually
):
    rig = make_rig("thread", size=2)
    rig.task(lambda: gate.wait(30), name="long")
    rig.task(lambda: None, name="noop")
    listen(rig, listener)
    rig.submit("long")
    eventually(lambda: rig.executor.load().running == 1)
    rig.submit("noop")
    eventually(lambda: rig.kinds() == ["completed"])


def test_what_is_submitted_on_a_notice_runs_in_the_thread_that_got_it(
    make_rig, listener, eventually
):
    rig = make_rig("thread", size=3)
    threads = []
    rig.task(lambda: threads.append(threading.get_ident()), name="note")

    def on_notice():
        threads.append(threading.get_ident())
        rig.submit("note")

    listen(rig, listener, on_notice)
    listener.notify()
    eventually(lambda: len(rig.outcomes) == 1)
    assert threads[0] == threads[1]


def test_of_many_that_are_submitted_on_a_notice_the_others_run_too(
    make_rig, listener, gate, eventually
):
    rig = make_rig("thread", size=3)
    rig.task(lambda: gate.wait(30), name="long")
    listen(rig, listener, lambda: rig.executor.submit([rig.claim("long") for _ in range(3)]))
    listener.notify()
    eventually(lambda: rig.executor.load().running == 3)


def test_what_a_slot_keeps_can_be_withdrawn_in_its_thread(make_rig, listener, eventually):
    rig = make_rig("thread", size=1)
    rig.task(lambda: None, name="noop")
    withdrawn = []

    def on_notice():
        claims = [rig.claim("noop") for _ in range(2)]
        rig.executor.submit(claims)
        withdrawn.append((claims, rig.executor.withdraw(rig.executor.waiting())))

    listen(rig, listener, on_notice)
    listener.notify()
    eventually(lambda: withdrawn)
    claims, back = withdrawn[0]
    assert back == claims
    assert listener.waits.acquire(timeout=10)
    assert rig.outcomes == []


def test_one_slot_listens_and_the_next_takes_its_place(make_rig, listener, gate, eventually):
    rig = make_rig("thread", size=2)
    rig.task(lambda: gate.wait(30), name="long")
    rig.task(lambda: None, name="noop")
    listen(rig, listener, lambda: rig.submit("long"))
    listener.notify()
    eventually(lambda: rig.executor.load().running == 1)
    rig.submit("noop")
    assert listener.waits.acquire(timeout=10)
    eventually(lambda: rig.kinds() == ["completed"])


def test_an_exception_that_strikes_a_slot_about_to_listen_leaves_the_listener_free(
    make_rig, listener
):
    executor = make_rig("thread", size=1).executor
    executor.listen_when_idle(listener, lambda: None)
    lock = executor._listener_lock

    class Struck:
        release = lock.release

        def acquire(self, **options):
            lock.acquire(**options)
            raise KeyboardInterrupt

    executor._listener_lock = Struck()
    with pytest.raises(KeyboardInterrupt):
        executor._wait_for_claim([])
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lock.acquire, blocking=False).result(10)


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), ConnectionResetError()])
def test_a_listener_that_fails_is_done_without_and_said_once(
    make_rig, listener, eventually, caplog, error
):
    rig = make_rig("thread", size=2)
    rig.task(lambda: None, name="noop")
    waits = []

    def wait(timeout=None):
        waits.append(timeout)
        raise error

    listener.wait = wait
    rig.executor.listen_when_idle(listener, lambda: None)
    rig.start()
    eventually(lambda: "no longer listen" in caplog.text)
    rig.submit("noop")
    rig.submit("noop")
    eventually(lambda: rig.kinds() == ["completed", "completed"])
    assert len(waits) == 1
    assert caplog.text.count("no longer listen") == 1
