"""Tasks of a pool that wait for tasks of the same pool: the log says when nobody is left to run."""

from __future__ import annotations

import logging

import pytest

from mainspring import AsyncTaskWorker


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [
        record.getMessage() for record in caplog.records if " waits for job " in record.msg
    ]


async def test_pool_tasks_that_await_pool_tasks_are_told(warnings):
    async with AsyncTaskWorker(max_workers=1, task_timeout=0.5) as pool:

        async def child():
            return 1

        async def parent():
            return await (await pool.submit(child))

        first = await pool.submit(parent)
        with pytest.raises(TimeoutError):
            await first
        assert first.id in warnings()[0]
        assert await (await pool.submit(child)) == 1
        assert pool._lifetime.waits.now() == []


async def test_pool_tasks_with_a_slot_to_spare_are_not_told(warnings):
    async with AsyncTaskWorker(max_workers=2) as pool:

        async def child():
            return 1

        async def parent():
            one = await pool.submit(child)
            return await pool.wait_for_task(one.id)

        assert await (await pool.submit(parent)) == 1
    assert warnings() == []
