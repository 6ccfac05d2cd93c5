"""A pool's body has a task of its own, with the context of who submitted it."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from mainspring import AsyncTaskWorker, Queue, current_job

user = contextvars.ContextVar("user", default="nobody")


async def look(name):
    seen = user.get()
    user.set(name)
    await asyncio.sleep(0)
    return seen, user.get()


def look_in_thread(name):
    seen = user.get()
    user.set(name)
    return seen, user.get()


@pytest.mark.parametrize("function", [look, look_in_thread])
async def test_a_body_sees_what_its_submitter_had_set_and_leaves_nothing(function):
    async with AsyncTaskWorker(max_workers=1) as pool:
        user.set("caller")
        first = await pool.submit(function, "ann")
        user.set("other caller")
        second = await pool.submit(function, "bob")
        assert await first == ("caller", "ann")
        assert await second == ("other caller", "bob")
        assert user.get() == "other caller"


async def test_a_body_has_a_task_of_its_own_that_may_cancel_itself():
    async def give_up():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async with AsyncTaskWorker(max_workers=1) as pool:
        failed = await pool.submit(give_up)
        with pytest.raises(asyncio.CancelledError):
            await failed
        assert failed.status == "failed"
        assert await (await pool.submit(look, "ann")) == ("nobody", "ann")


async def test_a_task_cancelled_as_it_is_given_a_slot_ends_once_and_frees_its_place():
    async def body():
        await asyncio.sleep(0)

    async with AsyncTaskWorker(max_workers=1, max_queue_size=1) as pool:
        for turns in range(4):
            handle = await pool.submit(body)
            for _ in range(turns):
                await asyncio.sleep(0)
            await handle.cancel()
            assert handle.info.completed_at is not None
        await asyncio.wait_for(pool.join(), 5)
        assert pool.stats()["pending"] == pool.stats()["running"] == 0


async def test_a_body_may_cancel_its_own_pool_task_and_stop_its_pool():
    pool = AsyncTaskWorker(max_workers=1)
    await pool.start()

    async def stop():
        await pool.stop(0)
        await asyncio.Event().wait()

    handle = await pool.submit(stop)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(handle.result(), 10)
    assert not pool.running


def test_a_pool_task_of_a_jobs_body_is_no_part_of_the_job():
    queue = Queue("memory://", workers=1)

    async def body():
        current_job.check_cancelled()
        return current_job.task

    @queue.task(name="outer")
    async def outer():
        async with AsyncTaskWorker() as pool:
            return (await (await pool.submit(body))).rsplit(".", 1)[-1]

    with queue.worker():
        assert outer.delay().result(timeout=10) == "body"
