"""A claim whose child is to be killed ends as was said, whenever that comes."""

from __future__ import annotations

import threading

import pytest

from mainspring.engine.attempts.attempt import Attempt, cancelled
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.errors import ChildDied, NotRunning
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Claim, OutcomeKind
from mainspring.model.task import Registry, Task

CLAIM = Claim(1, "1-x", 7, "t", "default", b"[[],{}]", 1, 0)
OTHER = Claim(2, "2-x", 7, "t", "default", b"[[],{}]", 1, 0)


class Children:
    """A pool of one child that answers nothing; it is not free before `free` is set."""

    def __init__(self):
        self.busy = None
        self.waiting = None
        self.ended = threading.Event()
        self.free = threading.Event()
        self.noted = []

    def request(self, payload, *, label, timeout, key, on_note=None, warm_up=None, on_begin=None):
        self.waiting = key
        while not self.free.wait(0.002):
            if self.waiting is None:
                raise NotRunning("withdrawn")
        self.waiting, self.busy = None, key
        on_begin()
        assert self.ended.wait(10)
        raise ChildDied(label, pid=1, code=-9, evidence="killed")

    def kill(self, key):
        if self.busy == key:
            self.ended.set()
        return self.busy == key

    def withdraw(self, key):
        if self.waiting == key:
            self.waiting = None
            return True
        return False


@pytest.fixture
def children():
    return Children()


@pytest.fixture
def attempt(children):
    tasks = Registry()
    tasks.add(Task("t", noop, executor="process"))
    attempt = Attempt(tasks, JsonCodec(limit_bytes=1 << 20), lambda *_: None)
    return ChildAttempt(attempt, tasks, children, lambda *noted: children.noted.append(noted))


def noop():
    pass


class Run:
    def __init__(self, attempt):
        self.outcome = None
        self._attempt = attempt
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        self.outcome = self._attempt.run(CLAIM, 0)

    def join(self):
        self._thread.join(10)
        return self.outcome


def test_a_killed_child_is_no_crash_of_a_claim_that_was_to_end(attempt, children, eventually):
    run = Run(attempt)
    children.free.set()
    eventually(lambda: children.busy)
    attempt.kill(OTHER, cancelled)
    assert not children.ended.is_set()
    attempt.kill(CLAIM, cancelled)
    assert run.join().kind is OutcomeKind.CANCELLED


def test_a_claim_that_waits_for_a_child_ends_without_one(attempt, children, eventually):
    run = Run(attempt)
    eventually(lambda: children.waiting)
    attempt.kill(CLAIM, cancelled)
    assert run.join().kind is OutcomeKind.CANCELLED
    assert children.busy is None


def test_a_claim_that_is_to_end_before_it_asks_for_a_child_does_not_begin(attempt, children):
    request = children.request

    def request_later(*args, **options):
        attempt.kill(CLAIM, cancelled)
        children.free.set()
        children.ended.set()
        return request(*args, **options)

    children.request = request_later
    assert Run(attempt).join().kind is OutcomeKind.CANCELLED
    assert children.noted == []


def test_a_child_that_dies_by_itself_is_a_crash(attempt, children, eventually):
    run = Run(attempt)
    children.free.set()
    eventually(lambda: children.busy)
    children.ended.set()
    assert run.join().kind is OutcomeKind.CRASHED


def test_a_claim_is_noted_as_begun_when_a_child_takes_it_and_not_before(
    attempt, children, eventually
):
    run = Run(attempt)
    eventually(lambda: children.waiting)
    assert children.noted == []
    children.free.set()
    eventually(lambda: children.noted == [(0, CLAIM.key, CLAIM.fence)])
    children.ended.set()
    run.join()
