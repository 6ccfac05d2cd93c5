"""A job that is cancelled while it waits for a slot or runs: at once, and only that job."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from histories import outcomes
from mainspring import JobCancelled, JobState, current_job

# Far below the heartbeat's interval: what happens within it happened by a wake-up.
SOON = 2.5


@pytest.fixture
def queue(make_queue):
    return make_queue(async_slots=2)


def cancel(queue, *jobs):
    return queue._store.cancel([job.id for job in jobs])


def check_cancelled(job, within=SOON):
    with pytest.raises(JobCancelled, match="asked to be cancelled"):
        job.result(timeout=within)
    assert job.status == JobState.CANCELLED


def test_a_running_coroutine_is_cancelled_within_moments(queue, eventually):
    begun, seen = [], []

    @queue.task(name="sleep")
    async def sleep():
        begun.append(1)
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(1)

    @queue.task(name="other")
    async def other():
        await asyncio.sleep(0.2)
        return "done"

    with queue.worker():
        job = sleep.delay()
        eventually(lambda: begun)
        neighbour = other.delay()
        assert cancel(queue, job) == [True]
        check_cancelled(job)
        assert neighbour.result(timeout=10) == "done"
        assert seen == [1]
    assert outcomes(job) == ["cancelled"]


def test_a_body_that_ends_all_the_same_wins(queue, eventually):
    begun = []

    @queue.task(name="deaf")
    async def deaf():
        begun.append(1)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "here"

    with queue.worker():
        job = deaf.delay()
        eventually(lambda: begun)
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

    begun = threading.Event()

    @queue.task(name="stuck")
    def stuck():
        begun.set()
        gate.wait(60)
        late.set()
        return "late"

    noop = queue.task(name="noop")(lambda: 1)
    with queue.worker():
        job = stuck.delay()
        assert begun.wait(10)
        cancel(queue, job)
        check_cancelled(job)
        assert noop.delay().result(timeout=10) == 1
        gate.set()
        assert late.wait(10)
        assert noop.delay().result(timeout=10) == 1
    assert outcomes(job) == ["cancelled"]


def test_a_thread_that_asks_learns_it_and_ends(queue, eventually):
    begun, ended = [], []

    @queue.task(name="polite")
    def polite():
        begun.append(1)
        with contextlib.suppress(JobCancelled):
            while True:
                current_job.check_cancelled()
                time.sleep(0.005)
        ended.append(1)

    with queue.worker():
        job = polite.delay()
        eventually(lambda: begun)
        cancel(queue, job)
        check_cancelled(job)
        eventually(lambda: ended)
        (executor,) = [
            one
            for one in queue._consumers._running[0]._exchange._slots
            if one.executor.kind == "thread"
        ]
        eventually(lambda: executor.executor.load().abandoned == 0)


def test_a_coroutine_that_keeps_its_loop_busy_can_learn_it(queue, eventually):
    begun = []

    @queue.task(name="busy", retries=0)
    async def busy():
        begun.append(1)
        while True:
            current_job.check_cancelled()
            time.sleep(0.005)  # noqa: ASYNC251  # on purpose: nothing else of the loop runs

    with queue.worker():
        job = busy.delay()
        eventually(lambda: begun)
        cancel(queue, job)
        check_cancelled(job)


def test_a_job_that_is_tried_again_waits_no_more_once_it_is_cancelled(queue, gate, eventually):
    @queue.task(name="fail", retries=5)
    def fail():
        gate.wait(60)
        raise ValueError

    with queue.worker():
        (consumer,) = queue._consumers._running
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
    def long():
        begun.touch()
        while not current_job.shutdown_requested:
            time.sleep(0.002)
        return "saved"

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


@pytest.mark.parametrize("url", ["memory://", "sqlite:///jobs.db"])
def test_a_body_in_a_child_can_learn_that_the_worker_is_to_stop(make_app, url, eventually):
    app = make_app(CHILD.format(url=url).replace("grace=0.2", "grace=20"))
    with app.queue.worker():
        job = app.long.delay()
        eventually(app.begun.exists, within=20)
    assert job.result(timeout=5) == "saved"


def test_a_body_can_learn_that_the_worker_is_to_stop(queue, eventually):
    begun = []

    @queue.task(name="long")
    def long():
        begun.append(1)
        while not current_job.shutdown_requested:
            time.sleep(0.002)
        return "saved"

    @queue.task(name="along")
    async def along():
        begun.append(2)
        while not current_job.shutdown_requested:
            await asyncio.sleep(0.002)
        return "saved"

    with queue.worker():
        jobs = [long.delay(), along.delay()]
        eventually(lambda: sorted(begun) == [1, 2])
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
        eventually(lambda: begun)
        (node,) = queue._store.nodes()
        queue._store.rescue(node.key, dead=True, begun=frozenset())
        queue._consumers._running[0]._beats.wake()
        eventually(lambda: ended)
        job.result(timeout=10)
