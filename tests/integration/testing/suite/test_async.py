"""Tests under pytest-asyncio and anyio, the latter also on trio's loop if that is installed."""

from __future__ import annotations

import asyncio

import pytest
import shop

from mainspring.errors import NotRunning


@pytest.mark.asyncio
@pytest.mark.parametrize("order", range(5))
async def test_jobs_run_on_the_loop_of_the_test(order):
    async with shop.queue.testing() as t:
        job = await shop.fetch_all.adelay([order])
        await t.arun()
        assert await job == [f"receipt {order}"]


@pytest.mark.asyncio
async def test_jobs_run_in_the_midst_of_a_loop(mainspring_queue):
    await shop.fetch.adelay(4)
    await shop.batch.adelay([1])
    mainspring_queue.run()
    assert [job.status for job in mainspring_queue.jobs()][:2] == ["completed", "completed"]
    assert asyncio.get_running_loop() is not None


@pytest.mark.asyncio
async def test_who_forgets_to_run_is_told_at_once(mainspring_queue):
    job = await shop.fetch.adelay(0)
    with pytest.raises(NotRunning, match="has not run"):
        await job


@pytest.mark.asyncio
async def test_a_coroutine_times_out_when_the_clock_is_moved(mainspring_queue):
    job = await shop.fetch.adelay(60)
    runs = asyncio.create_task(mainspring_queue.arun(suppress=TimeoutError))
    await asyncio.sleep(0.01)
    mainspring_queue.advance(seconds=6)
    assert await runs == 1
    assert "timeout of 5 s" in job.error


@pytest.mark.asyncio
async def test_eager_jobs_run_at_once():
    async with shop.queue.testing(eager=True):
        assert await (await shop.fetch_all.adelay([1, 2])) == ["receipt 1", "receipt 2"]
        assert shop.send_receipt.delay(3).result() == "receipt 3"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("order", range(5))
async def test_jobs_run_under_anyio(mainspring_queue, order):
    job = await shop.send_receipt.adelay(order)
    assert await mainspring_queue.arun() == 1
    assert await job == f"receipt {order}"
