"""A claim whose task was defined anew, as one for other slots, while it waited for its own."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.engine.attempts.attempt import Attempt
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Claim, OutcomeKind
from mainspring.model.task import Task

CLAIM = Claim(1, "1-x", 7, "t", "default", b"[[],{}]", 1, 0)


@pytest.fixture
def bodies():
    return []


@pytest.fixture
def task(bodies):
    async def on_loop():
        bodies.append("async")

    def elsewhere():
        bodies.append("thread")

    return lambda kind: Task("t", on_loop if kind == "async" else elsewhere, executor=kind)


def in_thread(attempt):
    return attempt.run(CLAIM, 0)


def on_loop(attempt):
    return asyncio.run(attempt.arun(CLAIM, 0, lambda _began: None))


@pytest.mark.parametrize(("run", "kind"), [(in_thread, "async"), (on_loop, "thread")])
def test_it_is_given_back_uncharged_before_a_body_begins(task, bodies, run, kind):
    noted = []
    attempt = Attempt({"t": task(kind)}, JsonCodec(), lambda *slot: noted.append(slot))
    assert run(attempt).kind is OutcomeKind.RELEASED
    assert (bodies, noted) == ([], [])


@pytest.mark.parametrize(("run", "kind"), [(in_thread, "thread"), (on_loop, "async")])
def test_one_that_stayed_runs(task, bodies, run, kind):
    attempt = Attempt({"t": task(kind)}, JsonCodec(), lambda *_: None)
    assert run(attempt).kind is OutcomeKind.COMPLETED
    assert bodies == [kind]


def test_no_child_is_asked_for_a_task_of_threads(task):
    tasks = {"t": task("thread")}
    attempt = Attempt(tasks, JsonCodec(), lambda *_: None)
    child = ChildAttempt(attempt, tasks, None, lambda *_: None)
    assert child.run(CLAIM, 0).kind is OutcomeKind.RELEASED
