"""Waiting for several jobs: all of them in order, or each as it ends."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from mainspring import JobFailed, Queue
from mainspring.errors import InvalidOption, NotRunning
from mainspring.queue.client import QueueClient


@pytest.fixture
def queue():
    return Queue("memory://", workers=4)


@pytest.fixture
def gates():
    return {number: threading.Event() for number in range(3)}


@pytest.fixture
def body(queue, gates):
    """A task whose jobs end when their gate opens."""

    @queue.task(retries=0)
    def body(number):
        assert gates[number].wait(10)
        if number == 2:
            raise ValueError(number)
        return number

    return body


async def collect(jobs):
    return [job async for job in jobs]


def gather(queue, way, jobs, **options):
    if way == "sync":
        return queue.gather(jobs, **options)
    return asyncio.run(queue.agather(jobs, **options))


@pytest.mark.parametrize("way", ["sync", "async"])
class TestGather:
    def test_results_come_in_the_order_of_the_jobs(self, queue, body, gates, way):
        with queue.worker():
            jobs = body.map([(0,), (1,), (0,)])
            for number in (1, 0):
                gates[number].set()
            assert gather(queue, way, [*jobs, jobs[0]], timeout=10) == [0, 1, 0, 0]
        assert gather(queue, way, []) == []

    def test_the_first_error_is_raised_while_others_go_on(self, queue, body, gates, way):
        with queue.worker():
            jobs = body.map([(0,), (2,)])
            gates[2].set()
            with pytest.raises(JobFailed, match="ValueError: 2"):
                gather(queue, way, jobs, timeout=10)
            assert jobs[0].status in ("pending", "running")
            gates[0].set()

    def test_errors_stand_among_the_results_if_asked(self, queue, body, gates, way):
        for gate in gates.values():
            gate.set()
        with queue.worker():
            jobs = body.map([(2,), (1,)])
            error, one = gather(queue, way, jobs, timeout=10, return_exceptions=True)
        assert one == 1
        assert isinstance(error, JobFailed)

    def test_it_waits_no_longer_than_it_may(self, queue, body, gates, way):
        with queue.worker():
            jobs = body.map([(0,), (1,)])
            gates[0].set()
            jobs[0].result(10)
            with pytest.raises(TimeoutError, match="1 of 2 jobs have not ended after 0.5 s"):
                gather(queue, way, jobs, timeout=0.5)
            gates[1].set()

    def test_a_timeout_may_be_a_timedelta(self, queue, body, way):
        with pytest.raises(TimeoutError, match="1 of 1 jobs have not ended after 0.01 s"):
            gather(queue, way, [body.delay(0)], timeout=timedelta(milliseconds=10))

    def test_what_is_no_job_is_refused(self, queue, way):
        for jobs in (["1-00000000"], 5, [None]):
            with pytest.raises(InvalidOption, match="handles that delay"):
                gather(queue, way, jobs)


def test_each_job_comes_as_it_ends(queue, body, gates):
    with queue.worker():
        jobs = body.map([(0,), (1,)])
        gates[1].set()
        ended = queue.as_completed(jobs, timeout=10)
        assert next(ended) == jobs[1]
        gates[0].set()
        assert [job.result() for job in ended] == [0]


def test_each_job_comes_to_a_coroutine_as_it_ends(queue, body, gates):
    async def look(jobs):
        ended = queue.aas_completed(jobs, timeout=10)
        assert await anext(ended) == jobs[1]
        gates[0].set()
        return [await job async for job in ended]

    with queue.worker():
        jobs = body.map([(0,), (1,)])
        gates[1].set()
        assert asyncio.run(look(jobs)) == [0]


def test_jobs_that_do_not_end_in_time_are_told_of(queue, body):
    jobs = body.map([(0,), (1,)])
    with pytest.raises(TimeoutError, match="2 of 2"):
        list(queue.as_completed(jobs, timeout=0.01))
    with pytest.raises(TimeoutError, match="2 of 2"):
        asyncio.run(collect(queue.aas_completed(jobs, timeout=0.01)))


class TestMany:
    """To wait for a job takes a tenth of a millisecond, which adds up."""

    @pytest.fixture
    def subscribed(self, monkeypatch):
        job_ids, subscribe = [], QueueClient.subscribe

        def subscribe_and_note(self, job_id, on_end):
            job_ids.append(job_id)
            return subscribe(self, job_id, on_end)

        monkeypatch.setattr(QueueClient, "subscribe", subscribe_and_note)
        return job_ids

    def test_the_time_runs_while_it_begins_to_wait(self, queue, body, subscribed):
        jobs = body.map([(0,)] * 1000)
        with pytest.raises(TimeoutError, match="1000 of 1000"):
            queue.gather(jobs, timeout=0)
        assert len(subscribed) == 1

    def test_those_that_have_ended_are_not_waited_for(self, queue, body, subscribed):
        jobs = body.map([(0,)] * 1000)
        queue.cancel(jobs[1:])
        ended = queue.as_completed(jobs, timeout=0)
        assert [next(ended) for _ in jobs[1:]] == jobs[1:]
        with pytest.raises(TimeoutError, match="1 of 1000"):
            next(ended)
        assert subscribed == [jobs[0].id]


class TestSlowStore:
    """A coroutine that waits for jobs lets others go on, however long the store takes."""

    @pytest.fixture
    def answers(self, queue, monkeypatch):
        """A store that says nothing of ended jobs until it may."""
        may, ended = threading.Event(), queue._store.ended

        def answer(job_ids):
            assert may.wait(10)
            return ended(job_ids)

        monkeypatch.setattr(queue._store, "ended", answer)
        return may

    def test_others_go_on_while_a_wait_begins(self, queue, body, gates, answers):
        async def main():
            wait = asyncio.ensure_future(queue.agather([body.delay(0)], timeout=10))
            await asyncio.sleep(0.01)
            answers.set()  # by this very loop
            return await wait

        gates[0].set()
        with queue.worker():
            assert asyncio.run(main()) == [0]

    def test_a_wait_that_is_cancelled_as_it_begins_leaves_nothing(
        self, queue, body, answers, eventually
    ):
        job = body.delay(0)

        async def main():
            with pytest.raises(TimeoutError, match="still pending"):
                await job.aresult(timeout=0.01)
            assert job.id in queue._client._waiter._waiters.jobs
            answers.set()

        asyncio.run(main())
        eventually(lambda: not queue._client._waiter._waiters.jobs)


def test_the_end_of_a_job_is_told_without_any_waiting(queue, body, gates):
    gates[0].set()
    with queue.worker():
        job = body.delay(0)
        assert job.result(10) == 0
    assert job.result(timeout=0) == 0
    assert asyncio.run(job.aresult(timeout=0)) == 0


def test_a_body_gathers_in_a_test(queue):
    @queue.task
    def leaf(number):
        return number

    @queue.task
    def root():
        return queue.gather(leaf.map([(1,), (2,)]))

    @queue.task
    async def aroot():
        return await queue.agather(leaf.map([(3,), (4,)]))

    with queue.testing() as t:
        root.delay()
        aroot.delay()
        t.run()
        assert t.jobs(task=root)[0].result == [1, 2]
        assert t.jobs(task=aroot)[0].result == [3, 4]
        with pytest.raises(NotRunning, match="has not run"):
            queue.gather([leaf.delay(1)])
