"""Jobs that wait for jobs which only their own slots can run: the log says so, and only then."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mainspring import Queue


@pytest.fixture(params=["memory", "sqlite"])
def make_queue(request, tmp_path):
    def make(**options):
        if request.param == "memory":
            return Queue("memory://", **options)
        return Queue(db_path=str(tmp_path / "jobs.db"), **options)

    return make


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [
        record.getMessage() for record in caplog.records if " waits for job " in record.msg
    ]


def test_two_parents_on_two_slots_are_told_with_both_ids(make_queue, warnings, eventually):
    queue = make_queue(workers=2)
    children = []

    @queue.task(name="child", retries=0)
    def child():
        return 1

    @queue.task(name="parent", retries=0)
    def parent():
        children.append(child.delay())
        return children[-1].result(timeout=3)

    with queue.worker(grace=5):
        jobs = [parent.delay(), parent.delay()]
        eventually(lambda: len(children) == 2 and warnings())
        told = warnings()[-1]
        assert any(job.id in told for job in jobs)
        assert any(job.id in told for job in children)


def test_a_chain_three_deep_on_two_slots_is_told(make_queue, warnings, eventually):
    queue = make_queue(workers=2)

    @queue.task(name="leaf")
    def leaf():
        return 1

    @queue.task(name="middle", retries=0)
    def middle():
        return leaf.delay().result(timeout=2)

    @queue.task(name="top", retries=0)
    def top():
        return middle.delay().result(timeout=2)

    with queue.worker(grace=5):
        top.delay()
        eventually(lambda: any("(middle) waits for job" in one for one in warnings()))


def test_a_coroutine_job_on_one_slot_is_told(make_queue, warnings, eventually):
    queue = make_queue(async_slots=1)

    @queue.task(name="child")
    async def child():
        return 1

    @queue.task(name="parent", retries=0, timeout=2)
    async def parent():
        return await (await child.adelay())

    with queue.worker(grace=5):
        parent.delay()
        eventually(lambda: any("(parent) waits for job" in one for one in warnings()))


def test_kinds_of_slots_that_wait_for_one_another_are_told(make_queue, warnings, eventually):
    queue = make_queue(workers=1, async_slots=1)
    both = []

    @queue.task(name="pause")
    async def pause():
        return 1

    @queue.task(name="work")
    def work():
        return 1

    @queue.task(name="sync", retries=0)
    def sync():
        both.append(1)
        while len(both) < 2:
            pass
        return pause.delay().result(timeout=2)

    @queue.task(name="coroutine", retries=0, timeout=2)
    async def coroutine():
        both.append(1)
        while len(both) < 2:
            await asyncio.sleep(0)
        return await (await work.adelay())

    with queue.worker(grace=5):
        sync.delay()
        coroutine.delay()
        eventually(warnings)


def test_with_a_slot_to_spare_nothing_is_told(make_queue, warnings):
    queue = make_queue(workers=2)

    @queue.task(name="child")
    def child():
        return 1

    @queue.task(name="parent")
    def parent():
        return child.delay().result(timeout=20)

    with queue.worker():
        assert parent.delay().result(timeout=20) == 1
        assert parent.delay().result(timeout=20) == 1
    assert warnings() == []


def test_jobs_that_wait_for_jobs_of_another_kind_of_slot_are_not_told(make_queue, warnings):
    queue = make_queue(workers=1, async_slots=1)

    @queue.task(name="pause")
    async def pause():
        return 1

    @queue.task(name="parent")
    def parent():
        return pause.delay().result(timeout=20)

    with queue.worker():
        assert parent.delay().result(timeout=20) == 1
    assert warnings() == []


def test_who_is_no_job_may_wait_as_it_likes(make_queue, warnings):
    queue = make_queue(workers=1)

    @queue.task(name="child")
    def child():
        return 1

    with queue.worker():
        assert child.delay().result(timeout=20) == 1
    assert warnings() == []
