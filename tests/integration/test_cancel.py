"""A job that is cancelled while it waits for a slot or runs: at once, and only that job."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from mainspring import JobCancelled, JobState, Queue, current_job

# Far below the heartbeat's interval: what happens within it happened by a wake-up.
SOON = 2.5


@pytest.fixture(params=["memory", "sqlite"])
def queue(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"
    queue = Queue(url, workers=2, async_slots=2, durability="normal", grace=0.2)
    yield queue
    queue.close()


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


def cancel(queue, *jobs):
    return queue._store.cancel([job.id for job in jobs])


def check_cancelled(job, within=SOON):
    with pytest.raises(JobCancelled, match="asked to be cancelled"):
        job.result(timeout=within)
    assert job.status == JobState.CANCELLED


def outcomes(job):
    return [one.outcome for one in job.history]


def test_a_running_coroutine_is_cancelled_within_moments(queue, eventually):
    seen = []

    @queue.task(name="sleep")
    async def sleep():
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(type(asyncio.current_task()))

    @queue.task(name="other")
    async def other():
        await asyncio.sleep(0.2)
        return "done"

    with queue.worker():
        job = sleep.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        neighbour = other.delay()
        assert cancel(queue, job) == [True]
        check_cancelled(job)
        assert neighbour.result(timeout=10) == "done"
        assert len(seen) == 1
    assert outcomes(job) == ["cancelled"]


def test_a_body_that_ends_all_the_same_wins(queue, eventually):
    @queue.task(name="deaf")
    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "here"

    with queue.worker():
        job = deaf.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        assert cancel(queue, job) == [True]
        assert job.result(timeout=SOON) == "here"


def test_a_body_that_raises_while_it_is_cancelled_is_cancelled(queue, eventually):
    @queue.task(name="rude")
    async def rude():
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    with queue.worker():
        job = rude.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        cancel(queue, job)
        check_cancelled(job)


def test_a_thread_is_left_behind_and_its_late_result_refused(queue, gate, eventually):
    late = threading.Event()

    @queue.task(name="stuck")
    def stuck():
        gate.wait(60)
        late.set()
        return "late"

    noop = queue.task(name="noop")(lambda: 1)
    with queue.worker():
        job = stuck.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        cancel(queue, job)
        check_cancelled(job)
        assert noop.delay().result(timeout=10) == 1
        gate.set()
        assert late.wait(10)
        assert noop.delay().result(timeout=10) == 1
    assert outcomes(job) == ["cancelled"]


def test_a_thread_that_asks_learns_it_and_ends(queue, eventually):
    ended = []

    @queue.task(name="polite")
    def polite():
        with contextlib.suppress(JobCancelled):
            while True:
                current_job.check_cancelled()
                time.sleep(0.005)
        ended.append(1)

    with queue.worker():
        job = polite.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        cancel(queue, job)
        check_cancelled(job)
        eventually(lambda: ended)
        (executor,) = [
            one for one in queue._consumers[0]._exchange._slots if one.executor.kind == "thread"
        ]
        eventually(lambda: executor.executor.abandoned == 0)


def test_a_coroutine_that_keeps_its_loop_busy_can_learn_it(queue, eventually):
    @queue.task(name="busy")
    async def busy():
        while True:
            current_job.check_cancelled()
            time.sleep(0.005)  # noqa: ASYNC251  # on purpose: nothing else of the loop runs

    with queue.worker():
        job = busy.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        cancel(queue, job)
        check_cancelled(job)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_what_waits_for_a_slot_never_begins(queue, gate, eventually, kind):
    ran = []

    def body(number):
        ran.append(number)
        gate.wait(60)

    async def abody(number):
        ran.append(number)
        while not gate.is_set():
            await asyncio.sleep(0.01)

    task = queue.task(name="wait")(body if kind == "thread" else abody)
    with queue.worker():
        first = task.map([(0,), (1,)])
        eventually(lambda: len(ran) == 2)
        (slots,) = queue._consumers[0]._exchange._slots
        # Straight to the slots: of its own accord the exchange would rather wait.
        slots._run_seconds = 1e-3
        slots.executor.began = lambda: time.monotonic()
        waiting = task.map([(2,), (3,), (4,)])
        eventually(lambda: slots.executor.waiting() or waiting[0].status == JobState.PENDING)
        cancel(queue, *waiting)
        for job in waiting:
            check_cancelled(job)
        gate.set()
        for job in first:
            job.result(timeout=10)
    assert sorted(ran) == [0, 1]


def test_a_job_that_is_tried_again_waits_no_more_once_it_is_cancelled(queue, gate, eventually):
    @queue.task(name="fail", retries=5)
    def fail():
        gate.wait(60)
        raise ValueError

    consumer = None
    with queue.worker():
        (consumer,) = queue._consumers
        consumer._exchange._end_cancelled = lambda: None  # as if the body ended first
        job = fail.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        cancel(queue, job)
        gate.set()
        check_cancelled(job)


CHILD = """
    import os, time
    from pathlib import Path
    from mainspring import Queue, current_job

    queue = Queue("{url}", workers=1, durability="normal", grace=0.2)
    begun = Path(__file__).with_name("begun")

    @queue.task(executor="process")
    def sleep():
        begun.touch()
        time.sleep(60)

    @queue.task(executor="process")
    def pid():
        current_job.check_cancelled()
        return os.getpid()
"""


@pytest.mark.parametrize("url", ["memory://", "sqlite:///jobs.db"])
def test_a_child_is_killed_and_replaced_and_its_job_is_no_crash(make_app, url, eventually):
    app = make_app(CHILD.format(url=url))
    with app.queue.worker():
        before = app.pid.delay().result(timeout=20)
        job = app.sleep.delay()
        eventually(app.begun.exists, within=20)
        cancel(app.queue, job)
        check_cancelled(job)
        assert app.pid.delay().result(timeout=20) != before
    assert outcomes(job) == ["cancelled"]
    assert app.queue._store.get(job.id).crashes == 0


def test_a_body_can_learn_that_the_worker_is_to_stop(queue, eventually):
    @queue.task(name="long")
    def long():
        while not current_job.shutdown_requested:
            time.sleep(0.002)
        return "saved"

    @queue.task(name="along")
    async def along():
        while not current_job.shutdown_requested:
            await asyncio.sleep(0.002)
        return "saved"

    with queue.worker():
        jobs = [long.delay(), along.delay()]
        eventually(lambda: {job.status for job in jobs} == {JobState.RUNNING})
        assert {job.status for job in jobs} == {JobState.RUNNING}
    assert [job.result(timeout=5) for job in jobs] == ["saved", "saved"]


def test_a_thread_past_its_timeout_can_learn_it(queue, eventually):
    ended = []

    @queue.task(name="slow", timeout=0.05, retries=0)
    def slow():
        with contextlib.suppress(JobCancelled):
            while True:
                current_job.check_cancelled()
                time.sleep(0.005)
        ended.append(current_job.id)

    with queue.worker():
        job = slow.delay()
        eventually(lambda: ended)
        eventually(lambda: job.status == JobState.FAILED)
        assert ended == [job.id]


def test_a_body_whose_worker_lost_its_lease_can_learn_it(queue, eventually):
    begun, ended = [], []

    @queue.task(name="cut_off")
    def cut_off():
        begun.append(1)
        if len(begun) > 1:
            return
        with contextlib.suppress(JobCancelled):
            while True:
                current_job.check_cancelled()
                time.sleep(0.005)
        ended.append(1)

    with queue.worker():
        job = cut_off.delay()
        eventually(lambda: job.status == JobState.RUNNING)
        (node,) = queue._store.nodes()
        queue._store.rescue(node.key, dead=True, begun=frozenset())
        queue._consumers[0]._beats.wake()
        eventually(lambda: ended)
        job.result(timeout=10)
