"""The front door, in one process, over every store that works there."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from histories import attempts, outcomes
from mainspring import Exponential, JobState, Queue, current_job
from mainspring.errors import (
    DuplicateName,
    InvalidArguments,
    InvalidOption,
    JobFailed,
    NotRunning,
    TaskNotImportable,
    UnknownOption,
)

NO_WAIT = Exponential(base=0.0)


@pytest.fixture
def queue(make_queue):
    return make_queue(workers=4)


def test_a_job_runs_and_gives_its_result(queue):
    @queue.task(name="add")
    def add(a, b):
        return a + b

    with queue.worker():
        assert add.delay(2, 3).result(timeout=10) == 5


def test_a_coroutine_task_runs_on_a_loop(queue):
    @queue.task(name="add")
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    with queue.worker():
        assert add.delay(2, b=3).result(timeout=10) == 5


def test_a_handle_can_be_awaited(queue):
    @queue.task(name="add")
    def add(a, b):
        return a + b

    async def main():
        return await (await add.adelay(2, 3))

    with queue.worker():
        assert asyncio.run(main()) == 5


def test_calling_a_task_runs_its_function_here(queue):
    @queue.task(name="add")
    def add(a, b):
        """Add."""
        return a + b

    assert add(2, 3) == 5
    assert add.__doc__ == "Add."
    assert queue.stats()["pending"] == 0


def test_map_enqueues_in_order_and_all_run(queue):
    @queue.task(name="double")
    def double(n):
        return 2 * n

    jobs = double.map([(n,) for n in range(500)])
    with queue.worker():
        assert [job.result(timeout=20) for job in jobs] == [2 * n for n in range(500)]
    assert queue.stats()["completed"] == 500


def test_calls_of_several_tasks_go_in_one_batch(queue):
    @queue.task(name="double")
    def double(n):
        return 2 * n

    @queue.task(name="triple")
    async def triple(n):
        return 3 * n

    jobs = queue.enqueue_many([double.call(1), triple.call(1), double.call(n=2)])
    with queue.worker():
        assert [job.result(timeout=10) for job in jobs] == [2, 3, 4]


def test_lower_priority_number_runs_first(queue):
    ran = []

    @queue.task(name="note")
    async def note(n):
        ran.append(n)

    jobs = [note.using(priority=n).delay(n) for n in (5, 0, -7, 3)]
    with queue.worker():
        for job in jobs:
            job.result(timeout=10)
    assert ran == [-7, 0, 3, 5]


def test_a_failing_job_runs_again_as_often_as_its_retries_say(queue):
    attempts = []

    @queue.task(name="fail", retries=2, backoff=NO_WAIT)
    def fail():
        attempts.append(current_job.attempt)
        raise ValueError("no luck")

    job = fail.delay()
    with queue.worker(), pytest.raises(JobFailed, match="ValueError: no luck") as caught:
        job.result(timeout=10)
    assert attempts == [1, 2, 3]
    cause = caught.value.__cause__
    assert (type(cause), str(cause)) == (ValueError, "no luck")
    assert "raise ValueError" in str(cause.__cause__)
    assert job.status == JobState.FAILED
    assert outcomes(job) == ["retry", "retry", "failed"]
    assert job.error == "ValueError: no luck"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, MemoryError]
)
def test_what_would_end_a_program_fails_the_attempt_only(queue, kind, error):
    def fail():
        raise error("stop")

    async def afail():
        raise error("stop")

    @queue.task(name="after")
    def after():
        return "alive"

    task = queue.task(name="fail", retries=0)(fail if kind == "sync" else afail)
    with queue.worker():
        with pytest.raises(JobFailed, match=error.__name__):
            task.delay().result(timeout=10)
        assert after.delay().result(timeout=10) == "alive"


def test_an_exit_in_a_task_that_a_body_started_leaves_other_coroutines_alone(queue):
    @queue.task(name="exit", retries=0)
    async def leave():
        async def exit_now():
            sys.exit(3)

        await asyncio.gather(asyncio.create_task(exit_now()))

    @queue.task(name="patient", retries=0)
    async def patient():
        begun.set()
        while not go.is_set():
            await asyncio.sleep(0.005)
        return "undisturbed"

    begun, go = threading.Event(), threading.Event()
    with queue.worker():
        other = patient.delay()
        assert begun.wait(10)
        with pytest.raises(JobFailed, match="SystemExit"):
            leave.delay().result(timeout=10)
        go.set()
        assert other.result(timeout=10) == "undisturbed"


def test_a_result_that_cannot_be_stored_fails_the_attempt(queue):
    @queue.task(name="lock", retries=0)
    def lock():
        return threading.Lock()

    with queue.worker(), pytest.raises(JobFailed, match="lock"):
        lock.delay().result(timeout=10)


def test_a_coroutine_past_its_timeout_is_cancelled(queue):
    ended = []

    @queue.task(name="slow", timeout=0.05, retries=0)
    async def slow():
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    with queue.worker(), pytest.raises(JobFailed, match="timeout of 0.05 s"):
        slow.delay().result(timeout=10)
    assert ended == [True]


def test_a_thread_past_its_timeout_is_abandoned_and_its_result_refused(queue):
    go = threading.Event()

    @queue.task(name="slow", timeout=0.05, retries=0)
    def slow():
        go.wait(30)
        return "late"

    @queue.task(name="quick")
    def quick():
        return "here"

    with queue.worker():
        job = slow.delay()
        with pytest.raises(JobFailed, match="timeout of 0.05 s"):
            job.result(timeout=10)
        go.set()
        assert quick.delay().result(timeout=10) == "here"
    assert job.status == JobState.FAILED


def test_a_delayed_job_waits_until_it_is_due(queue):
    @queue.task(name="when")
    def when():
        return time.monotonic()

    with queue.worker():
        began = time.monotonic()
        jobs = [
            when.using(delay=0.3).delay(),
            when.using(run_at=datetime.now(UTC) + timedelta(seconds=0.3)).delay(),
        ]
        for job in jobs:
            assert 0.25 < job.result(timeout=10) - began < 3


def test_an_unknown_task_stays_pending(queue, tmp_path):
    @queue.task(name="known")
    def known():
        return 1

    @queue.task(name="elsewhere")
    def elsewhere():
        return 2

    lost = elsewhere.delay()
    queue._tasks._tasks.pop("elsewhere")
    with queue.worker():
        assert known.delay().result(timeout=10) == 1
    assert lost.status == JobState.PENDING


def test_a_worker_takes_from_its_queues_only(queue):
    @queue.task(name="one", queue="mail")
    def one():
        return 1

    there, here = one.using(queue="other").delay(), one.delay()
    with queue.worker(queues=["mail"]):
        assert here.result(timeout=10) == 1
    assert there.status == JobState.PENDING
    assert queue.stats()["queues"]["other"]["pending"] == 1


def test_fields_of_a_handle_tell_of_the_job(queue):
    @queue.task(name="add", priority=4, queue="sums")
    def add(a, b):
        return a + b

    before = datetime.now(UTC) - timedelta(seconds=1)
    job = add.delay(2, b=3)
    assert (job.task, job.queue, job.priority, job.status) == ("add", "sums", 4, "pending")
    assert (job.args, job.kwargs, job.error, job.history) == ((2,), {"b": 3}, None, [])
    with queue.worker():
        job.result(timeout=10)
    assert before < job.created_at <= job.started_at <= job.completed_at
    assert [(one.number, one.outcome) for one in attempts(job)] == [(1, "completed")]
    assert queue.get_job(job.id) == job
    assert queue.get_job("1-ffffffff") is None
    assert queue.get_job("nonsense") is None


def test_result_with_a_timeout_does_not_wait_longer(queue):
    @queue.task(name="idle")
    def idle():
        return 1

    job = idle.delay()
    with pytest.raises(TimeoutError, match=f"{job.id}.*pending"):
        job.result(timeout=0.05)


def test_current_job_is_refused_outside_a_job():
    assert not current_job
    with pytest.raises(NotRunning, match="outside a job"):
        _ = current_job.id


def test_current_job_tells_a_body_who_it_is(queue):
    @queue.task(name="who")
    async def who():
        await asyncio.sleep(0)
        return [current_job.id, current_job.task, current_job.queue, current_job.idempotency_key]

    with queue.worker():
        job = who.delay()
        assert job.result(timeout=10) == [job.id, "who", "default", f"mainspring-{job.id}"]


def test_a_stop_lets_running_jobs_end_and_releases_the_rest(queue, eventually):
    go = threading.Event()
    running = threading.Semaphore(0)

    @queue.task(name="wait")
    def wait():
        running.release()
        return go.wait(30)

    jobs = wait.map([()] * 20)
    consumer = queue._consumers.new_consumer(None)
    consumer.start()
    for _ in range(4):
        assert running.acquire(timeout=10)
    consumer.shutdown()
    go.set()
    consumer.wait()
    assert queue.stats()["running"] == 0
    assert queue.stats()["completed"] == 4
    assert all(attempts(job) == [] for job in jobs[4:])
    with queue.worker():
        assert all(job.result(timeout=10) for job in jobs)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_after_the_grace_running_jobs_are_released_uncharged(tmp_path, kind):
    queue = Queue(db_path=tmp_path / "jobs.db", workers=2, durability="normal", grace=0.1)
    running = threading.Event()
    go = threading.Event()

    def wait():
        running.set()
        go.wait(20)

    async def await_long():
        running.set()
        await asyncio.sleep(20)

    task = queue.task(name="wait")(wait if kind == "sync" else await_long)
    job = task.delay()
    began = time.monotonic()
    with queue.worker():
        assert running.wait(10)
    assert time.monotonic() - began < 5
    assert job.status == JobState.PENDING
    go.set()
    queue.close()


def test_a_queue_can_run_again_after_a_shutdown(queue):
    @queue.task(name="one")
    def one():
        return 1

    for _ in range(3):
        thread = threading.Thread(target=queue.run_worker)
        thread.start()
        assert one.delay().result(timeout=10) == 1
        queue.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def test_arun_worker_leaves_the_loop_free_and_ends_with_a_shutdown(queue):
    @queue.task(name="one")
    async def one():
        return 1

    async def main():
        worker = asyncio.create_task(queue.arun_worker())
        assert await one.delay() == 1
        queue.shutdown()
        await asyncio.wait_for(worker, 10)

    asyncio.run(main())


def test_cancelling_arun_worker_stops_the_worker(queue):
    @queue.task(name="one")
    async def one():
        return 1

    async def main():
        worker = asyncio.create_task(queue.arun_worker())
        assert await one.delay() == 1
        worker.cancel()
        await asyncio.wait([worker], timeout=10)
        assert worker.cancelled()

    asyncio.run(main())
    assert not any(
        "mainspring" in thread.name for thread in threading.enumerate() if not thread.daemon
    )


class TestBadInput:
    def test_an_unknown_option_is_named(self, queue):
        with pytest.raises(UnknownOption, match="'retrys'.*retries"):
            queue.task(retrys=3)
        with pytest.raises(UnknownOption, match="'worker'.*workers"):
            Queue("memory://", worker=3)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("retries", -1),
            ("retries", 1.5),
            ("timeout", 0),
            ("timeout", "5"),
            ("priority", "high"),
            ("priority", 2**40),
            ("queue", ""),
            ("executor", "gpu"),
            ("executor", "async"),
            ("name", 3),
        ],
    )
    def test_a_senseless_value_is_named_with_its_option(self, queue, option, value):
        with pytest.raises(InvalidOption, match=option):
            queue.task(**{"name": "n", option: value})(lambda: None)

    @pytest.mark.parametrize(
        ("option", "value"),
        [("workers", -1), ("grace", -1), ("lease", 0), ("heartbeat", 20), ("async_slots", 0)],
    )
    def test_a_senseless_queue_option_is_named(self, option, value):
        with pytest.raises(InvalidOption, match=option):
            Queue("memory://", **{option: value})

    def test_arguments_of_the_wrong_shape_are_refused_at_delay(self, queue):
        @queue.task(name="add")
        def add(a, b=2):
            return a + b

        for call in (add.delay, add.call):
            with pytest.raises(InvalidArguments, match=r"add.*missing.*\(a, b=2\)"):
                call()
        with pytest.raises(InvalidArguments, match="too many"):
            add.delay(1, 2, 3)
        with pytest.raises(InvalidArguments, match="'c'"):
            add.delay(1, c=3)
        with pytest.raises(InvalidArguments, match="tuple for each job"):
            add.map([1, 2])
        assert queue.stats()["pending"] == 0

    def test_an_argument_that_cannot_be_stored_is_named(self, queue):
        @queue.task(name="add")
        def add(a, b=2):
            return a + b

        with pytest.raises(InvalidArguments, match=r"add.*b.*lock"):
            add.delay(1, b=threading.Lock())

    def test_a_task_that_cannot_be_imported_is_refused(self, queue):
        with pytest.raises(TaskNotImportable, match="lambda.*name="):
            queue.task(lambda: None)
        with pytest.raises(TaskNotImportable, match="inside a function"):

            @queue.task(name="n", executor="process")
            def inner():
                pass

    def test_two_tasks_of_one_name_are_refused(self, queue):
        queue.task(name="n")(lambda: 1)
        with pytest.raises(DuplicateName, match="'n'"):
            queue.task(name="n")(lambda: 2)

    def test_using_refuses_what_makes_no_sense(self, queue):
        task = queue.task(name="n")(lambda: 1)
        with pytest.raises(InvalidOption, match="delay"):
            task.using(delay=-1)
        with pytest.raises(InvalidOption, match="aware"):
            task.using(run_at=datetime(2030, 1, 1))  # noqa: DTZ001
        with pytest.raises(InvalidOption, match="can't be combined with delay"):
            task.using(delay=1, run_at=datetime.now(UTC))
        with pytest.raises(UnknownOption, match="'prio'"):
            task.using(prio=1)

    @pytest.mark.parametrize("url", ["mysql://x", "jobs.db", "sqlite://jobs.db", "sqlite:///"])
    def test_a_url_without_a_store_is_named(self, url):
        with pytest.raises(InvalidOption, match="url"):
            Queue(url)


class TestProcessJobs:
    APP = """
        import os, time
        from mainspring import Exponential, Queue, current_job

        queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=5)
        NO_WAIT = Exponential(base=0.0)

        @queue.task(executor="process")
        def pid():
            return os.getpid()

        @queue.task(executor="process")
        async def twice(n):
            return 2 * n

        @queue.task(executor="process", retries=0)
        def fail(message):
            raise ValueError(message)

        @queue.task(executor="process", retries=2, backoff=NO_WAIT)
        def third_time_lucky():
            if current_job.attempt < 3:
                raise ValueError("not yet")
            return current_job.attempt

        @queue.task(executor="process")
        def die_once():
            if not current_job.crashes:
                os._exit(3)
            return current_job.crashes, current_job.attempt

        @queue.task(executor="process", timeout=0.3, retries=0)
        def slow():
            time.sleep(30)

        @queue.task(executor="process", retries=0)
        def leave():
            raise SystemExit(4)
    """

    def test_bodies_run_in_children(self, make_app):
        app = make_app(self.APP)
        with app.queue.worker():
            pids = {job.result(timeout=20) for job in app.pid.map([()] * 50)}
            assert app.twice.delay(4).result(timeout=10) == 8
        assert pids
        assert os.getpid() not in pids

    def test_an_error_in_a_child_fails_the_attempt(self, make_app):
        app = make_app(self.APP)
        with app.queue.worker():
            with pytest.raises(JobFailed, match="ValueError: no luck"):
                app.fail.delay("no luck").result(timeout=20)
            with pytest.raises(JobFailed, match="SystemExit: 4"):
                app.leave.delay().result(timeout=20)
            assert app.third_time_lucky.delay().result(timeout=20) == 3

    def test_a_dead_child_costs_a_crash_and_no_attempt(self, make_app):
        app = make_app(self.APP)
        with app.queue.worker():
            job = app.die_once.delay()
            assert job.result(timeout=20) == (1, 1)
        assert outcomes(job) == ["crashed", "completed"]
        assert "exited with code 3" in attempts(job)[0].failure.message

    def test_a_child_past_its_timeout_is_killed(self, make_app):
        app = make_app(self.APP)
        with app.queue.worker():
            with pytest.raises(JobFailed, match="timeout of 0.3 s"):
                app.slow.delay().result(timeout=20)
            assert app.twice.delay(4).result(timeout=10) == 8


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_subscriber_that_raises_anything_does_not_end_the_worker(error):
    queue = Queue("memory://", workers=1)

    @queue.task(name="nop")
    def nop(number):
        return number

    def leave(event):
        raise error("once")

    queue.subscribe(leave, inline=True)
    with queue.worker():
        assert [nop.delay(number).result(timeout=20) for number in range(5)] == list(range(5))
