"""Jobs in children, by the front door: the body is the user's whole function, and dies alone."""

from __future__ import annotations

import os

import pytest

from mainspring.errors import JobFailed

APP = """
    import functools
    import os
    import time
    from pathlib import Path

    from mainspring import Exponential, Queue, current_job

    queue = Queue("memory://", workers=2, grace=0.2)
    begun = Path(__file__).with_name("begun")

    def shout(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args).upper()
        return wrapper

    @queue.task(executor="process")
    @shout
    def greet(name):
        return f"hello {name}"

    def plain(name):
        return f"hello {name}"

    plain_task = queue.task(executor="process")(plain)

    @queue.task(executor="process")
    async def who():
        return [current_job.id, current_job.attempt, os.getpid()]

    @queue.task(executor="process", retries=0)
    def raise_it(kind):
        raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "generator": GeneratorExit}[kind]

    @queue.task(executor="process", retries=0)
    def unstorable():
        return object()

    @queue.task(executor="process")
    def die_once():
        if current_job.crashes == 0:
            os._exit(9)
        return current_job.crashes

    @queue.task(executor="process")
    def sleep():
        begun.touch()
        time.sleep(60)
"""


@pytest.fixture
def app(make_app):
    return make_app(APP)


def test_a_decorated_function_runs_with_its_decorator_in_a_child(app):
    with app.queue.worker():
        assert app.greet.delay("you").result(timeout=20) == "HELLO YOU"
        assert app.plain_task.delay("you").result(timeout=20) == "hello you"


def test_a_coroutine_function_runs_in_a_child_and_knows_its_job(app):
    with app.queue.worker():
        job = app.who.delay()
        job_id, attempt, pid = job.result(timeout=20)
    assert (job_id, attempt) == (job.id, 1)
    assert pid != os.getpid()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt"), ("generator", "GeneratorExit")],
)
def test_what_would_end_a_program_fails_the_attempt_only(app, kind, name):
    with app.queue.worker():
        with pytest.raises(JobFailed, match=name):
            app.raise_it.delay(kind).result(timeout=20)
        assert app.greet.delay("you").result(timeout=20) == "HELLO YOU"


def test_a_result_that_cannot_be_stored_fails_the_attempt(app):
    with app.queue.worker(), pytest.raises(JobFailed, match="object"):
        app.unstorable.delay().result(timeout=20)


def test_a_dead_child_costs_its_own_job_a_crash_and_no_other(app):
    with app.queue.worker():
        jobs = [app.die_once.delay(), *app.greet.map([(str(n),) for n in range(20)])]
        assert jobs[0].result(timeout=20) == 1
        assert [job.result(timeout=20) for job in jobs[1:]] == [f"HELLO {n}" for n in range(20)]
    crashes = [app.queue._store.get(job.id).crashes for job in jobs]
    assert crashes == [1] + [0] * 20


def test_a_body_that_outlasts_the_grace_is_killed_and_its_job_released(app, eventually):
    job = app.sleep.delay()
    with app.queue.worker():
        eventually(app.begun.exists, within=20)
    assert job.status == "pending"
    assert app.queue._store.get(job.id).crashes == 0
