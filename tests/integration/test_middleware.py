"""Middleware is around each attempt, wherever its body runs."""

from __future__ import annotations

import asyncio
import importlib
import os
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar

import pytest

from mainspring import Queue, Snooze
from mainspring.errors import InvalidOption

WHO = ContextVar("who", default="nobody")


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=2)
    yield queue
    queue.close()


@pytest.fixture
def seen():
    return []


def logged(queue, seen, name):
    def middleware(attempt):
        seen.append(f"{name} before {attempt.attempt}")
        try:
            yield
        except BaseException as error:
            seen.append(f"{name} saw {type(error).__name__}")
            raise
        finally:
            seen.append(f"{name} after")

    return queue.middleware(middleware)


def bodies(queue):
    """A task of each kind that a worker's own process runs."""

    @queue.task(name="plain", retries=0)
    def plain():
        return WHO.get()

    @queue.task(name="awaited", retries=0)
    async def awaited():
        await asyncio.sleep(0)
        return WHO.get()

    return plain, awaited


def test_the_first_registered_is_outermost(queue, seen):
    logged(queue, seen, "outer")
    logged(queue, seen, "inner")

    @queue.task(name="body")
    def body():
        seen.append("body")

    with queue.testing() as t:
        body.delay()
        t.run()
    assert seen == ["outer before 1", "inner before 1", "body", "inner after", "outer after"]


def test_middleware_sees_the_job(queue, seen):
    @queue.middleware
    def note(attempt):
        seen.append(attempt)
        yield

    @queue.task(name="add", queue="sums")
    def add(a, b):
        return a + b

    with queue.testing() as t:
        job = add.delay(2, b=3)
        t.run()
    (attempt,) = seen
    assert (attempt.id, attempt.task, attempt.queue) == (job.id, "add", "sums")
    assert (attempt.args, attempt.kwargs) == ((2,), {"b": 3})
    assert (attempt.attempt, attempt.crashes) == (1, 0)


def test_each_attempt_has_its_own(queue, seen):
    logged(queue, seen, "mine")

    @queue.task(name="fails", retries=1, backoff=[0])
    def fails():
        raise OSError("disk")

    with queue.testing(suppress=OSError) as t:
        fails.delay()
        t.run(seconds=5)
    assert seen == [
        *("mine before 1", "mine saw OSError", "mine after"),
        *("mine before 2", "mine saw OSError", "mine after"),
    ]


def test_a_context_variable_reaches_bodies_of_a_worker_and_of_no_other_job(queue):
    @queue.middleware
    def named(attempt):
        token = WHO.set(attempt.task)
        yield
        WHO.reset(token)

    plain, awaited = bodies(queue)
    with queue.worker():
        jobs = [plain.delay(), awaited.delay(), plain.delay(), awaited.delay()]
        assert [job.result(timeout=20) for job in jobs] == ["plain", "awaited"] * 2
    assert WHO.get() == "nobody"


def test_middleware_registered_while_a_worker_runs_is_around_the_next_attempt(queue, seen):
    plain, awaited = bodies(queue)
    with queue.worker():
        plain.delay().result(timeout=20)
        logged(queue, seen, "late")
        awaited.delay().result(timeout=20)
    assert seen == ["late before 1", "late after"]


@pytest.mark.parametrize("kind", ["generator", "decorated", "class", "async", "async decorated"])
def test_every_form_of_middleware_is_around_a_coroutine(queue, seen, kind):
    def generator(attempt):
        seen.append("before")
        yield
        seen.append("after")

    async def awaiting(attempt):
        await asyncio.sleep(0)
        seen.append("before")
        yield
        await asyncio.sleep(0)
        seen.append("after")

    class Manager:
        def __init__(self, attempt):
            assert attempt.task == "awaited"

        def __enter__(self):
            seen.append("before")

        def __exit__(self, *raised):
            seen.append("after")

    forms = {
        "generator": generator,
        "decorated": contextmanager(generator),
        "class": Manager,
        "async": awaiting,
        "async decorated": asynccontextmanager(awaiting),
    }
    assert queue.middleware(forms[kind]) is forms[kind]

    @queue.task(name="awaited")
    async def awaited():
        seen.append("body")
        return 1

    with queue.testing() as t:
        job = awaited.delay()
        t.run()
        assert job.result() == 1
    assert seen == ["before", "body", "after"]


def test_a_class_that_is_both_is_awaited_around_coroutines_only(queue, seen):
    @queue.middleware
    class Both:
        def __init__(self, attempt):
            self.task = attempt.task

        def __enter__(self):
            seen.append(f"{self.task} entered")

        def __exit__(self, *raised):
            pass

        async def __aenter__(self):
            seen.append(f"{self.task} awaited")

        async def __aexit__(self, *raised):
            pass

    plain, awaited = bodies(queue)
    with queue.testing() as t:
        plain.delay()
        awaited.delay()
        t.run()
    assert seen == ["plain entered", "awaited awaited"]


@pytest.mark.parametrize("place", [0, 1])
def test_what_middleware_raises_before_the_body_fails_the_attempt_and_says_so(queue, place, seen):
    @queue.middleware
    def refuse(attempt):
        raise ConnectionError("no database")
        yield

    body = bodies(queue)[place]
    with queue.testing(suppress=ConnectionError) as t:
        job = body.delay()
        t.run()
        assert job.status == "failed"
        name = f"{__name__}.{refuse.__qualname__}"
        said = f"raised by middleware {name} before the body of task {body.name!r} began"
        assert job.error == f"ConnectionError: no database; {said}"


def test_what_it_raises_after_the_body_fails_the_attempt_too(queue):
    @queue.middleware
    def commit(attempt):
        yield
        raise ConnectionError("no commit")

    plain, _ = bodies(queue)
    with queue.testing(suppress=ConnectionError) as t:
        job = plain.delay()
        t.run()
        assert "no commit; raised by middleware" in job.error
        assert job.error.endswith("after the body of task 'plain' had returned")


def test_the_retry_rules_ask_for_the_error_that_middleware_raised(queue):
    @queue.middleware
    def refuse(attempt):
        if attempt.attempt == 1:
            raise ConnectionError("no database")
        yield

    @queue.task(name="body", retry_on=ConnectionError, backoff=[0])
    def body():
        return "done"

    with queue.testing() as t:
        job = body.delay()
        t.run(seconds=1)
        assert (job.result(), t.last.attempts) == ("done", 2)


def test_the_error_of_a_body_bears_no_word_of_the_middleware_around_it(queue, seen):
    logged(queue, seen, "mine")

    @queue.task(name="fails", retries=0)
    def fails():
        raise OSError("disk")

    with queue.testing(suppress=OSError) as t:
        job = fails.delay()
        t.run()
        assert job.error == "OSError: disk"


def test_an_error_that_middleware_swallows_is_gone(queue):
    @queue.middleware
    def swallow(attempt):
        with suppress(OSError):
            yield

    @queue.task(name="fails")
    async def fails():
        raise OSError("disk")

    with queue.testing() as t:
        job = fails.delay()
        t.run()
        assert (job.status, job.result()) == ("completed", None)


def test_middleware_may_put_a_job_off(queue):
    @queue.middleware
    def closed_at_first(attempt):
        if not seen:
            seen.append(1)
            raise Snooze(60)
        yield

    seen = []
    plain, _ = bodies(queue)
    with queue.testing() as t:
        job = plain.delay()
        t.run()
        assert job.status == "pending"
        t.run(minutes=1)
        assert job.status == "completed"


def test_a_generator_without_a_yield_on_its_way_fails_the_attempt(queue):
    @queue.middleware
    def silent(attempt):
        if attempt.attempt > 1:
            yield

    plain, _ = bodies(queue)
    with queue.testing(suppress=RuntimeError) as t:
        job = plain.delay()
        t.run()
        assert "generator didn't yield; raised by middleware" in job.error


def no_yield(attempt):
    return None


async def no_async_yield(attempt):
    return None


def no_argument():
    yield


def two_arguments(attempt, other):
    yield


class NoManager:
    def __init__(self, attempt):
        pass


@pytest.mark.parametrize(
    "wrong", [no_yield, no_async_yield, no_argument, two_arguments, NoManager, int, "text", None]
)
def test_what_is_no_middleware_is_refused(queue, wrong):
    with pytest.raises(InvalidOption, match="expected a generator function with one yield"):
        queue.middleware(wrong)


async def awaiting(attempt):
    yield


def at_top():
    pass


def test_async_middleware_is_refused_around_a_task_that_cannot_await_it(queue):
    bodies(queue)
    with pytest.raises(InvalidOption, match="is async, and task 'plain' is not"):
        queue.middleware(awaiting)


def test_such_a_task_is_refused_after_async_middleware(queue):
    queue.middleware(awaiting)
    with pytest.raises(InvalidOption, match="is async, and task 'plain' is not"):
        bodies(queue)
    assert queue.get_task("plain") is None


def test_middleware_of_a_function_is_refused_for_tasks_in_child_processes(queue):
    def inside(attempt):
        yield

    queue.middleware(inside)
    with pytest.raises(InvalidOption, match="can't be imported by a child process"):
        queue.task(executor="process")(at_top)


def test_a_reloaded_module_registers_the_same_middleware_once(queue, seen):
    text = "def note(attempt):\n    seen.append(1)\n    yield\n"
    for _ in range(2):
        names = {"__name__": "app", "seen": seen}
        exec(text, names)
        queue.middleware(names["note"])
    plain, _ = bodies(queue)
    with queue.testing() as t:
        plain.delay()
        t.run()
    assert seen == [1]


CHILDREN = """
    import os
    from mainspring import Queue
    from around_it import WHO

    queue = Queue(db_path="jobs.db", workers=1)

    @queue.task(executor="process", retries=0)
    def plain():
        return WHO.get(), os.getpid()

    @queue.task(executor="process", retries=0)
    async def awaited():
        return WHO.get(), os.getpid()

    @queue.task(executor="process", retries=0)
    def fails():
        raise OSError("disk")
"""

ELSEWHERE = """
from contextvars import ContextVar
WHO = ContextVar("who", default="nobody")

def named(attempt):
    token = WHO.set(f"{attempt.task} {attempt.attempt}")
    try:
        yield
    except OSError as error:
        raise ValueError("seen by middleware") from error
    finally:
        WHO.reset(token)
"""


def test_middleware_is_around_bodies_in_child_processes_wherever_it_is_registered(
    make_app, tmp_path, monkeypatch
):
    """The child imports the task's module, which does not import the middleware's."""
    (tmp_path / "around_it.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(str(tmp_path))
    app = make_app(CHILDREN)
    app.queue.middleware(importlib.import_module("around_it").named)
    with app.queue.testing(processes=True, suppress=ValueError) as t:
        jobs = [app.plain.delay(), app.awaited.delay()]
        failed = app.fails.delay()
        t.run()
        assert [job.result()[0] for job in jobs] == ["app.plain 1", "app.awaited 1"]
        assert jobs[0].result()[1] != os.getpid()
        assert failed.error == "ValueError: seen by middleware"
    with app.queue.testing() as t:
        jobs = [app.plain.delay(), app.awaited.delay()]
        t.run()
        assert [job.result()[0] for job in jobs] == ["app.plain 1", "app.awaited 1"]
