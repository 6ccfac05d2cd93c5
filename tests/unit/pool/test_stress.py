"""A pool under pressure: whatever happens in whatever order, every task ends once."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring import AsyncTaskWorker
from mainspring.errors import NotRunning

FINAL = {"completed", "failed", "cancelled"}


async def body(kind, steps):
    for _ in range(steps):
        await asyncio.sleep(0)
    if kind == "fails":
        raise ValueError(kind)
    if kind == "cancels itself":
        asyncio.current_task().cancel()
    if kind == "ignores":
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return "anyway"
    return kind


KINDS = st.sampled_from(["works", "fails", "cancels itself", "ignores"])
ADD = st.tuples(st.just("add"), KINDS, st.integers(0, 3), st.integers(-2, 2))
OTHER = st.tuples(st.sampled_from(["cancel", "wait", "give up", "pause", "stop", "start"]))


@settings(max_examples=150)
@given(
    workers=st.integers(1, 4),
    size=st.none() | st.integers(1, 5),
    scripts=st.lists(st.lists(ADD | OTHER, max_size=12), min_size=1, max_size=4),
)
def test_every_accepted_task_ends_once_and_every_future_resolves(workers, size, scripts):
    asyncio.run(asyncio.wait_for(play(workers, size, scripts), 30))


async def play(workers, size, scripts):
    pool = AsyncTaskWorker(max_workers=workers, max_queue_size=size, task_timeout=0.5)
    endings = []
    pool.subscribe(lambda event: endings.extend(claim.id for claim, _ in event.ended))
    await pool.start()
    handles, futures = [], []
    async with asyncio.TaskGroup() as actors:
        for script in scripts:
            actors.create_task(act(pool, script, handles, futures))
    await pool.stop(0.01)
    assert {handle.status for handle in handles} <= FINAL
    assert sorted(endings) == sorted(handle.id for handle in handles)
    assert all(future.done() for future in futures)


async def act(pool, script, handles, futures):
    for step, *rest in script:
        last = handles[-1] if handles else None
        if step == "add":
            kind, steps, priority = rest
            try:
                handle = await pool.submit(body, kind, steps, priority=priority)
            except NotRunning:
                continue
            handles.append(handle)
            futures.append(handle.result())
        elif step == "cancel" and last is not None:
            await last.cancel()
        elif step == "wait" and last is not None:
            await asyncio.wait([last.result()], timeout=0.01)
        elif step == "give up" and last is not None:
            last.result().cancel()
        elif step == "pause":
            await asyncio.sleep(0)
        elif step == "stop":
            await pool.stop(0)
        elif step == "start":
            await pool.start()


@pytest.mark.parametrize(
    "tasks", [50_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_memory_stays_flat_no_task_is_lost_and_order_is_kept(tasks):
    warm = 10_000
    next_of = [0, 1, 2]

    async def note(number):
        assert next_of[number % 3] == number
        next_of[number % 3] = number + 3

    async def live():
        pool = AsyncTaskWorker(max_finished=1_000, max_queue_size=1_000)
        async with pool:
            for number in range(warm):
                await pool.add_task(note, number, priority=number % 3)
            await pool.join()
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(warm, tasks):
                await pool.add_task(note, number, priority=number % 3)
            await pool.join()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert pool.stats()["completed"] == tasks
        return grown

    # What tracing sees are the records that replaced those from before it began.
    assert asyncio.run(live()) < 1_000 * 1_000


async def test_order_is_kept_within_each_of_many_priorities():
    ran = {priority: [] for priority in range(5)}

    async def note(priority, number):
        ran[priority].append(number)

    async with AsyncTaskWorker() as pool:
        for number in range(20_000):
            await pool.add_task(note, number % 5, number, priority=number % 5)
        await pool.join()
    assert all(numbers == sorted(numbers) for numbers in ran.values())
    assert sum(map(len, ran.values())) == 20_000
