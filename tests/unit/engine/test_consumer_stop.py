"""Stopping a worker: from anywhere, any number of times, whatever a body does; never a hang."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from functools import partial

import pytest

from mainspring import Exponential, JobState
from mainspring.errors import StoreBusy
from mainspring.supervision.stop_signals import TOGETHER

A_PERSON_WAITS = TOGETHER + 0.1
NO_WAIT = Exponential(base=0.0)


@pytest.fixture
def make_queue(make_queue):
    return partial(make_queue, async_slots=4, grace=10)


class Running:
    """A worker in a thread."""

    def __init__(self, queue):
        self.queue = queue
        self.error = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.queue.run_worker()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.error = error

    def ended(self, within):
        self.thread.join(within)
        return not self.thread.is_alive()


@pytest.fixture
def start():
    workers = []

    def start(queue):
        workers.append(Running(queue))
        return workers[-1]

    yield start
    for worker in workers:
        worker.queue.shutdown()
        worker.queue.shutdown()
        assert worker.ended(20)


def nodes(queue):
    return queue._store.nodes()


def test_asked_before_it_starts_it_returns_at_once(queue):
    queue.task(name="noop")(lambda: None)
    consumer = queue._consumers.new_consumer(None)
    consumer.shutdown()
    consumer.run()
    assert nodes(queue) == []


def test_asked_while_it_starts_it_ends(queue, start):
    noop = queue.task(name="noop")(lambda: None)
    queue.task(name="anoop")(_anoop)
    for number in range(15):
        worker = start(queue)
        while not queue._consumers._running and worker.thread.is_alive():
            time.sleep(0)
        time.sleep(number * 0.001)  # a moment of its start, another each time
        queue.shutdown()
        assert worker.ended(15)
        assert worker.error is None
    assert nodes(queue) == []
    with queue.worker():
        noop.delay().result(timeout=10)


async def _anoop():
    pass


def test_asked_three_times_and_by_many_threads_it_ends_once(queue, start, gate, eventually):
    job = queue.task(name="wait")(lambda: gate.wait(30)).delay()
    worker = start(queue)
    eventually(lambda: job.status == JobState.RUNNING)
    threads = [threading.Thread(target=queue.shutdown) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.ended(10)
    assert worker.error is None
    assert job.status == JobState.PENDING
    queue.shutdown()
    assert nodes(queue) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_thread_body_may_ask(queue, start, times):
    @queue.task(name="last")
    def last():
        for _ in range(times):
            queue.shutdown()
        return "the end"

    job = last.delay()
    assert start(queue).ended(15)
    assert job.status in {JobState.COMPLETED, JobState.PENDING}
    assert times == 2 or job.status == JobState.COMPLETED


@pytest.mark.parametrize("times", [1, 2])
def test_a_coroutine_body_may_ask(queue, start, times):
    @queue.task(name="last")
    async def last():
        for _ in range(times):
            queue.shutdown()
        return "the end"

    job = last.delay()
    assert start(queue).ended(15)
    assert job.status == JobState.COMPLETED


def test_a_loop_may_ask_and_goes_on(queue):
    @queue.task(name="noop")
    def noop():
        return 1

    async def main():
        worker = asyncio.create_task(queue.arun_worker())
        assert await noop.delay() == 1
        before = time.monotonic()
        queue.shutdown()
        assert time.monotonic() - before < 0.5
        await asyncio.wait_for(worker, 10)

    asyncio.run(main())


def test_a_signal_asks(queue):
    @queue.task(name="signal_self")
    def signal_self():
        os.kill(os.getpid(), signal.SIGTERM)
        return "sent"

    before = signal.getsignal(signal.SIGTERM)
    job = signal_self.delay()
    queue.run_worker()
    assert job.status == JobState.COMPLETED
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_asks_while_the_store_is_blocked_at_the_start(queue, monkeypatch, tmp_path):
    queue.task(name="noop")(lambda: None)
    connect = partial(sqlite3.connect, tmp_path / "locked.db", check_same_thread=False)
    holder = connect(isolation_level=None)
    waiter = connect(isolation_level=None, timeout=15)
    holder.execute("BEGIN IMMEDIATE")
    waiting = threading.Event()

    def wait_in_c_code(*_, **__):
        waiting.set()
        waiter.execute("BEGIN IMMEDIATE")
        raise StoreBusy("jobs.db", 15.0, "somebody")

    def send():
        waiting.wait(10)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(queue._store, "join", wait_in_c_code)
    queue.subscribe(lambda _event: holder.execute("ROLLBACK"), "shutdown_asked", inline=True)
    sender = threading.Thread(target=send)
    sender.start()
    queue.run_worker()
    sender.join()
    assert waiter.in_transaction  # it was let go by the signal, and not by its own timeout
    waiter.close()
    holder.close()


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGINT), (signal.SIGHUP,) * 2])
def test_signals_that_arrive_together_are_one_request(queue, gate, numbers):
    @queue.task(name="signal_twice")
    def signal_twice():
        for number in numbers:
            os.kill(os.getpid(), number)
        gate.wait(1)
        return "done"

    job = signal_twice.delay()
    queue.run_worker()
    assert job.status == JobState.COMPLETED


def test_the_end_of_the_block_is_no_second_request(queue, gate, eventually):
    @queue.task(name="waits")
    def waits():
        began.set()
        gate.wait(1)
        return "done"

    began = threading.Event()
    with queue.worker():
        job = waits.delay()
        eventually(began.is_set)
        queue.shutdown()
    assert job.status == JobState.COMPLETED


def test_a_second_signal_ends_what_runs(queue, gate):
    @queue.task(name="stuck")
    def stuck():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(A_PERSON_WAITS)
        os.kill(os.getpid(), signal.SIGTERM)
        gate.wait(60)

    job = stuck.delay()
    began = time.monotonic()
    queue.run_worker()
    assert time.monotonic() - began < 8
    assert job.status == JobState.PENDING


@pytest.fixture
def impatient(monkeypatch):
    """What is stubborn is disowned soon."""
    monkeypatch.setattr("mainspring.engine.claims.drain.STUBBORN_SECONDS", 0.2)
    monkeypatch.setattr("mainspring.engine.consumer.LAST_SECONDS", 0.6)


@pytest.mark.parametrize("url", ["memory://"])
@pytest.mark.usefixtures("impatient")
class TestStubbornBodies:
    @pytest.fixture
    def queue(self, make_queue):
        return make_queue(grace=0.1)

    def test_a_coroutine_that_swallows_its_cancellation_is_disowned(
        self, queue, start, gate, eventually
    ):
        @queue.task(name="stubborn")
        async def stubborn():
            while not gate.is_set():
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    continue

        job = stubborn.delay()
        worker = start(queue)
        eventually(lambda: job.status == JobState.RUNNING)
        queue.shutdown()
        assert worker.ended(12)
        assert (job.status, worker.error) == (JobState.PENDING, None)
        assert nodes(queue) == []

    def test_a_coroutine_that_blocks_its_loop_is_disowned(self, queue, start, gate, eventually):
        @queue.task(name="block")
        async def block():
            gate.wait(60)

        job = block.delay()
        worker = start(queue)
        eventually(lambda: job.status == JobState.RUNNING)
        queue.shutdown()
        assert worker.ended(12)
        assert (job.status, worker.error) == (JobState.PENDING, None)

    def test_a_stuck_thread_is_disowned_and_its_late_result_is_not_recorded(
        self, queue, start, gate, eventually
    ):
        begun, ended = threading.Event(), threading.Event()

        @queue.task(name="stuck")
        def stuck():
            begun.set()
            gate.wait(60)
            ended.set()
            return "late"

        job = stuck.delay()
        worker = start(queue)
        assert begun.wait(10)
        queue.shutdown()
        assert worker.ended(12)
        gate.set()
        assert ended.wait(10)
        assert job.status == JobState.PENDING

    def test_a_body_that_takes_long_to_clean_up_is_disowned(self, queue, start, gate, eventually):
        @queue.task(name="slow_end")
        async def slow_end():
            try:
                await asyncio.sleep(60)
            finally:
                while not gate.is_set():
                    await asyncio.sleep(0.05)

        job = slow_end.delay()
        worker = start(queue)
        eventually(lambda: job.status == JobState.RUNNING)
        queue.shutdown()
        assert worker.ended(12)
        assert job.status == JobState.PENDING


@pytest.mark.usefixtures("impatient")
def test_asked_twice_a_blocked_loop_does_not_hold_it_up_for_the_grace(
    make_queue, start, gate, eventually
):
    queue = make_queue(grace=60)

    @queue.task(name="block")
    async def block():
        gate.wait(90)

    job = block.delay()
    worker = start(queue)
    eventually(lambda: job.status == JobState.RUNNING)
    queue.shutdown()
    queue.shutdown()
    assert worker.ended(15)
    assert job.status == JobState.PENDING


def test_what_a_coroutine_left_running_does_not_hold_up_the_end(make_queue, start):
    queue = make_queue(grace=60)
    strays = []

    @queue.task(name="leave_one")
    async def leave_one():
        strays.append(asyncio.create_task(asyncio.sleep(3600)))

    job = leave_one.delay()
    worker = start(queue)
    job.result(timeout=10)
    queue.shutdown()
    assert worker.ended(10)


def test_a_worker_without_any_task_starts_and_stops(queue, start, eventually):
    worker = start(queue)
    eventually(lambda: nodes(queue))
    queue.shutdown()
    assert worker.ended(10)
    assert worker.error is None


def test_what_is_claimed_while_it_stops_is_not_lost(queue, start, eventually):
    noop = queue.task(name="noop")(lambda: None)
    anoop = queue.task(name="anoop")(_anoop)
    jobs = [*noop.map([()] * 600), *anoop.map([()] * 600)]
    for number in range(6):
        worker = start(queue)
        # Before there is a consumer, nobody hears the question below.
        eventually(lambda w=worker: queue._consumers._running or not w.thread.is_alive())
        eventually(lambda n=number: queue.stats()["completed"] >= min(30 * n, 1200))
        queue.shutdown()
        assert worker.ended(10)
        stats = queue.stats()
        assert (stats["running"], stats["failed"]) == (0, 0)
        assert stats["pending"] + stats["completed"] == 1200
    with queue.worker():
        for job in jobs:
            job.result(timeout=20)
    assert {len([one for one in job.history if one.outcome == "completed"]) for job in jobs} == {1}


def test_cancelling_arun_worker_twice_ends_what_runs(queue, gate):
    job = queue.task(name="stuck")(lambda: gate.wait(60)).delay()

    async def main():
        worker = asyncio.create_task(queue.arun_worker())
        while job.status != JobState.RUNNING:
            await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.sleep(0)
        worker.cancel()
        await asyncio.wait([worker], timeout=15)
        assert worker.cancelled()

    asyncio.run(main())
    assert job.status == JobState.PENDING
    assert nodes(queue) == []


def test_a_worker_that_can_not_join_says_why_and_leaves_nothing_open(queue, monkeypatch):
    queue.task(name="noop")(lambda: None)
    busy = StoreBusy("jobs.db", 30.0, "somebody")

    def refuse(*_, **__):
        raise busy

    before = set(threading.enumerate())
    monkeypatch.setattr(queue._store, "join", refuse)
    for run in (queue.run_worker, lambda: queue.worker().__enter__()):
        with pytest.raises(StoreBusy):
            run()
    assert queue._consumers._running == []
    assert {one for one in threading.enumerate() if not one.daemon} <= before


def test_an_error_in_the_block_shuts_the_worker_down(queue):
    noop = queue.task(name="noop")(lambda: None)

    def use():
        with queue.worker():
            noop.delay().result(timeout=10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert (nodes(queue), queue._consumers._running) == ([], [])
