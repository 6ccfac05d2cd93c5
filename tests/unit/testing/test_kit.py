"""`queue.testing()` at its edges: what production decides, it decides the same way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import JobCancelled, JobFailed, JobGone, PickleCodec, Queue, current_job
from mainspring.errors import (
    InvalidConnection,
    InvalidOption,
    NotRunning,
    UnknownOption,
    UnstorableResult,
)


@pytest.fixture
def queue(tmp_path):
    """A queue whose own store must not be made."""
    yield Queue(db_path=tmp_path / "real.db")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def conn():
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("BEGIN")
    yield conn
    conn.close()


def test_a_body_that_is_cancelled_learns_it_at_once(queue):
    reached = []

    @queue.task
    def body():
        queue.cancel(current_job.id)
        reached.append("cancelled")
        current_job.check_cancelled()
        reached.append("not here")

    with queue.testing() as t:
        job = body.delay()
        t.run()
        assert reached == ["cancelled"]
        with pytest.raises(JobCancelled):
            job.result()


def test_a_coroutine_that_is_cancelled_ends_where_it_waits(queue):
    @queue.task
    async def body():
        queue.cancel(current_job.id)
        await asyncio.sleep(60)

    with queue.testing() as t:
        body.delay()
        began = t.now
        t.run()
        assert t.last.status == "cancelled"
        assert t.now == began


@pytest.mark.parametrize("end", ["keep", "roll back"])
def test_a_job_completed_in_a_transaction_is_so_unless_that_is_rolled_back(queue, conn, end):
    @queue.task(retries=0)
    def body():
        conn.execute("SAVEPOINT body")
        current_job.complete_in(conn, 7)
        conn.execute("RELEASE body" if end == "keep" else "ROLLBACK TO body")
        return "not looked at"

    with queue.testing() as t:
        body.delay()
        if end == "keep":
            t.run()
            assert t.last.result == 7
        else:
            with pytest.raises(Exception, match="without a commit"):
                t.run()


def test_a_job_completed_twice_in_one_attempt_is_refused(queue, conn):
    @queue.task(retries=0)
    def body():
        current_job.complete_in(conn, 7)
        current_job.complete_in(conn, 8)

    with queue.testing() as t:
        body.delay()
        t.run()
        assert t.last.result == 7


def test_a_connection_that_production_refuses_is_refused(queue):
    @queue.task
    def body():
        pass

    with queue.testing(), sqlite3.connect(":memory:", isolation_level=None) as conn:
        with pytest.raises(InvalidConnection, match="no transaction is open"):
            body.using(conn=conn).delay()
        with pytest.raises(InvalidConnection, match="no connection to SQLite"):
            body.using(conn=object()).delay()
    conn.close()


def test_a_unique_job_that_was_there_before_outlives_the_rollback(queue, conn):
    @queue.task
    def body():
        pass

    with queue.testing() as t:
        first = body.using(unique="k").delay()
        assert body.using(unique="k", conn=conn).delay() == first
        conn.execute("ROLLBACK")
        t.assert_enqueued(body, times=1)
        conn.execute("BEGIN")
        second = body.using(unique="other", conn=conn).delay()
        conn.execute("ROLLBACK")
        assert body.using(unique="other").delay() != second
        with pytest.raises(JobGone):
            second.result()


def test_a_closed_connection_counts_as_committed(queue, conn):
    @queue.task
    def body():
        pass

    with queue.testing() as t:
        body.using(conn=conn).delay()
        conn.execute("COMMIT")
        conn.close()
        assert t.run() == 1


def test_tasks_and_schedules_that_come_later_are_served(queue):
    with queue.testing() as t:

        @queue.every(60)
        def tick():
            return "tick"

        t.run()
        t.run(minutes=1)
        assert t.last.result == "tick"
        queue.schedules[tick.name].pause()
        t.advance(hours=1)
        assert len(t.jobs()) == 1


def test_a_schedule_ticks_for_each_moment_that_goes_by(queue):
    @queue.every(60)
    def tick():
        pass

    with queue.testing() as t:
        t.advance(minutes=3)
        assert len(t.jobs()) == 3


def test_jobs_of_a_paused_queue_wait(queue):
    @queue.task
    def body():
        pass

    with queue.testing() as t:
        queue.pause("default")
        job = body.delay()
        assert t.run(hours=1) == 0
        with pytest.raises(NotRunning, match=r"is paused: call resume\('default'\)"):
            job.result()
        queue.resume("default")
        assert t.run() == 1


def test_who_asks_for_a_job_of_an_unknown_task_is_told_which_there_are(queue):
    queue.task(name="shop.pay")(lambda: None)
    with queue.testing() as t:
        job = queue.enqueue("shop.pya")
        assert t.run() == 0
        with pytest.raises(NotRunning, match=r"has no task .*did you mean 'shop.pay'\?"):
            job.result()
        assert job.status == "pending"


def test_a_body_that_would_wait_for_ever_is_told(queue):
    @queue.task(retries=0)
    def waits():
        return waits.using(delay=60).delay().result()

    @queue.task(retries=0)
    async def awaits():
        return await awaits.using(delay=60).delay()

    @queue.task(retries=0)
    def itself():
        return queue.get_job(current_job.id).result()

    with queue.testing() as t:
        for task, message in ((waits, "60 s"), (awaits, "60 s"), (itself, "in the midst")):
            task.delay()
            with pytest.raises(NotRunning, match=message):
                t.run()


def test_a_coroutine_waits_for_several_jobs_at_once(queue):
    @queue.task
    async def leaf(seconds):
        await asyncio.sleep(seconds)
        return seconds

    @queue.task
    def sync_leaf(seconds):
        return leaf.delay(seconds).result()

    @queue.task
    async def root():
        jobs = [await task.adelay(n) for n in (1, 2) for task in (leaf, sync_leaf)]
        return await asyncio.gather(*jobs)

    with queue.testing() as t:
        root.delay()
        t.run()
        assert t.jobs(task=root)[0].result == [1, 1, 2, 2]


def test_a_coroutine_may_use_threads_and_leave_tasks_behind(queue):
    ended = []

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    @queue.task(timeout=30)
    async def body():
        body.left = asyncio.create_task(forever())
        async with asyncio.timeout(20):
            return await asyncio.to_thread(threading.get_ident)

    with queue.testing() as t:
        before = t.now
        body.delay()
        t.run()
        assert t.last.result != threading.get_ident()
        assert t.now - before < timedelta(seconds=10)
        assert not ended
    assert ended


def test_a_timeout_of_a_body_is_its_own_to_catch(queue):
    @queue.task
    async def body():
        try:
            async with asyncio.timeout(10):
                await asyncio.sleep(60)
        except TimeoutError:
            return "caught"

    with queue.testing() as t:
        before = t.now
        body.delay()
        t.run()
        assert t.last.result == "caught"
        assert t.now - before == timedelta(seconds=10)


def test_jobs_from_other_threads_go_to_the_test(queue):
    @queue.task
    def body(number):
        return number

    with queue.testing() as t:
        threads = [threading.Thread(target=body.delay, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert t.run() == 3


def test_a_task_for_children_is_refused_here_what_a_child_could_not_do(queue):
    with queue.testing() as t:
        task = queue.task(executor="process", retries=0)(complete_in_child)
        globals()["complete_in_child"] = task
        task.delay()
        with pytest.raises(InvalidConnection, match="runs in a child process"):
            t.run()


def complete_in_child():
    current_job.complete_in(None)


def test_subscribers_of_the_queue_are_told(queue):
    seen = []
    queue.subscribe(seen.append, "completed")

    @queue.task
    def body():
        pass

    with queue.testing() as t:
        body.delay()
        t.run()
        assert [event.task for event in seen] == [body.name]  # in the test's own thread


def test_arguments_go_through_the_codec_of_the_queue():
    queue = Queue("memory://", codec=PickleCodec(signing_key=os.urandom(32)))

    @queue.task
    def body(value):
        return value

    with queue.testing() as t:
        body.delay({1, 2})
        t.assert_enqueued(body, {2, 1})
        t.run()
        assert t.last.result == {1, 2}


def test_equal_calls_are_equal_however_they_are_written(queue):
    @queue.task
    def body(first, second=2, *rest, third=3, **more):
        pass

    with queue.testing() as t:
        body.delay(1)
        t.assert_enqueued(body, first=1, second=2, third=3)
        t.assert_enqueued(body.call(1, third=3))
        t.assert_not_enqueued(body, 1, 3)
        body.delay(1, queue="x", times=2)
        t.assert_enqueued(body.call(1, queue="x", times=2), times=1)


@dataclass(frozen=True)
class Sealed(Exception):
    code: int


def test_errors_that_take_no_note_are_raised_as_they_are(queue):
    @queue.task(retries=0)
    def body(code):
        raise Sealed(code)

    with queue.testing() as t:
        body.delay(1)
        body.delay(2)
        with pytest.raises(Sealed) as caught:
            t.run()
        assert caught.value.code == 1


def test_errors_that_are_looked_at_are_not_raised_again(queue):
    @queue.task(retries=0)
    def body(text):
        raise ValueError(text)

    with queue.testing() as t:
        body.delay("first")
        body.delay("second")
        with pytest.raises(ValueError, match="first") as caught:
            t.run()
        assert "these jobs also went wrong: " in caught.value.__notes__[0]
        assert t.run() == 0
    with queue.testing(eager=True) as t:
        job = body.delay("seen")
        with pytest.raises(Exception, match="seen"):
            job.result()
    with pytest.raises(ValueError, match="not seen"), queue.testing(eager=True):
        body.delay("not seen")
    with queue.testing(suppress=ValueError) as t:
        body.delay("expected")
        t.run()
    with pytest.raises(KeyError), queue.testing(eager=True):  # noqa: PT012  # the block is tested
        body.delay("the test has an error of its own")
        raise KeyError


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda t: t.run(weeks=1), UnknownOption),
        (lambda t: t.run(-1), InvalidOption),
        (lambda t: t.advance(minutes=-1), InvalidOption),
        (lambda t: t.run(suppress="ValueError"), InvalidOption),
        (lambda t: t.assert_enqueued(7), TypeError),
        (lambda t: t.last, NotRunning),
    ],
)
def test_a_slip_is_named(queue, call, error):
    with queue.testing() as t, pytest.raises(error):
        call(t)


def test_a_moment_without_a_zone_is_refused(queue):
    with pytest.raises(InvalidOption, match="aware datetime"):
        queue.testing(at=datetime(2030, 1, 1))  # noqa: DTZ001  # that is the slip


def test_the_clock_begins_where_the_test_says(queue):
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)

    @queue.task
    def body():
        pass

    with queue.testing(at=at) as t:
        job = body.using(delay=0.57).delay()
        t.advance(seconds=0.57)
        t.run()
        assert job.completed_at == t.now == at + timedelta(seconds=0.57)
        assert job.history[0].started_at == t.now


def test_a_failed_job_is_retried_by_hand(queue):
    @queue.task(retries=0)
    def body():
        if current_job.crashes == 0 and not done:
            done.append(True)
            raise OSError
        return "done"

    done = []
    with queue.testing() as t:
        job = body.delay()
        t.run(suppress=OSError)
        job.retry()
        t.run()
        assert job.result() == "done"


def test_a_queue_goes_back_to_its_own_store(tmp_path):
    queue = Queue("memory://")

    @queue.task
    def body():
        pass

    real = body.delay()
    with queue.testing():
        body.delay()
        assert real.status == "pending"
    assert [job.id for job in queue.jobs()] == [real.id]


@pytest.mark.parametrize("awaited", [False, True])
def test_a_result_that_cannot_be_stored_is_told_by_the_error_that_names_the_task(queue, awaited):
    def plain():
        return object()

    async def coroutine():
        return object()

    body = queue.task(name="body", retries=0)(coroutine if awaited else plain)
    with queue.testing() as t:
        body.delay()
        with pytest.raises(UnstorableResult, match="'body' returned what can't be stored"):
            t.run()
        assert isinstance(t.last.error, UnstorableResult)
        body.delay()
        t.run(suppress=UnstorableResult)


def parent_of(queue, child, *, awaited):
    """A task whose body waits for the child."""

    @queue.task(name="parent", retries=0)
    def blocking():
        return child.delay().result()

    @queue.task(name="awaiting", retries=0)
    async def awaiting():
        return await (await child.adelay())

    return awaiting if awaited else blocking


def run_in(t, *, on_the_tests_loop):
    return asyncio.run(t.arun()) if on_the_tests_loop else t.run()


@pytest.mark.parametrize("on_the_tests_loop", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_run_ends_and_counts_all_that_bodies_wait_for(queue, awaited, on_the_tests_loop):
    @queue.task(name="child")
    async def child():
        await asyncio.sleep(0)

    parent = parent_of(queue, child, awaited=awaited)
    with queue.testing() as t:
        parent.map([()] * 200)
        assert run_in(t, on_the_tests_loop=on_the_tests_loop) == 400
        assert len(t.jobs(status="completed")) == 400


@pytest.mark.parametrize("on_the_tests_loop", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_job_that_a_body_waits_for_runs_before_all_others(queue, awaited, on_the_tests_loop):
    ran = []

    @queue.task(name="child", priority=9)
    def child():
        ran.append("child")

    @queue.task(name="other")
    def other():
        ran.append("other")

    parent = parent_of(queue, child, awaited=awaited)
    with queue.testing() as t:
        job = parent.delay()
        other.delay()
        run_in(t, on_the_tests_loop=on_the_tests_loop)
        assert ran == ["child", "other"]
        assert job.status == "completed"
        assert t.jobs(task="child")[0].handle.priority == 9


@pytest.mark.parametrize("on_the_tests_loop", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_job_that_ends_the_test_ends_it_also_where_a_body_waits(
    queue, awaited, on_the_tests_loop
):
    @queue.task(name="child", retries=0)
    async def child():
        pytest.skip("no server")

    parent = parent_of(queue, child, awaited=awaited)
    with queue.testing(suppress=JobFailed) as t:
        parent.delay()
        with pytest.raises(pytest.skip.Exception, match="no server"):
            run_in(t, on_the_tests_loop=on_the_tests_loop)


def test_a_job_that_nobody_waits_for_any_more_runs_on_unless_it_never_ends(queue):
    @queue.task(name="child")
    async def child(ends):
        await (asyncio.sleep(60) if ends else asyncio.Event().wait())

    @queue.task(name="parent")
    async def parent(ends):
        job = await child.adelay(ends)
        with suppress(TimeoutError):
            await asyncio.wait_for(job, 5)

    with queue.testing() as t:
        parent.map([(True,), (False,)])
        t.run()
        assert [job.status for job in t.jobs(task="parent")] == ["completed"] * 2
        assert [job.status for job in t.jobs(task="child")] == ["completed", "running"]
