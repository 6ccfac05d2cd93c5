"""How tasks and pools end: nobody is left waiting."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

from mainspring import AsyncTaskWorker
from mainspring.errors import AttemptTimeout
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.testing.contracts.service import ServiceContract


class TestLifecycle(ServiceContract):
    def make(self):
        return AsyncTaskWorker()


async def noop():
    return "done"


async def forever():
    await asyncio.Event().wait()


async def fail():
    raise ValueError("no good")


async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if deaf.heeds:
                raise


@pytest.fixture
def deaf_body():
    deaf.heeds = False
    yield deaf
    deaf.heeds = True


async def test_a_pending_task_that_is_cancelled_never_runs(make_gate):
    ran = []

    async def body():
        ran.append(1)

    async with AsyncTaskWorker(max_workers=1) as pool:
        gate = make_gate()
        await pool.add_task(gate)
        handle = await pool.submit(body)
        assert await handle.cancel()
        assert handle.status == "cancelled"
        gate.opened.set()
        await pool.join()
        with pytest.raises(asyncio.CancelledError):
            await handle
    assert ran == []


async def test_a_running_body_that_is_cancelled_cleans_up_and_the_worker_lives_on(make_gate):
    async with AsyncTaskWorker(max_workers=1) as pool:
        gate = make_gate()
        handle = await pool.submit(gate)
        await gate.entered.wait()
        assert await pool.cancel_task(handle.id)
        assert (gate.cancelled, gate.cleaned, handle.status) == (True, True, "cancelled")
        assert await (await pool.submit(noop)) == "done"


async def test_cancelling_what_has_ended_is_false():
    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(noop)
        await handle
        assert not await pool.cancel_task(handle.id)
        assert not await handle.cancel()
        assert handle.status == "completed"


async def test_a_body_that_finishes_in_spite_of_being_cancelled_is_completed(until):
    async def stubborn():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "anyway"

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(stubborn)
        await until(lambda: handle.status == "running")
        assert not await handle.cancel()
        assert await handle == "anyway"


async def test_cancelling_one_of_many_hits_no_other(make_gate):
    async with AsyncTaskWorker(max_workers=3) as pool:
        gates = [make_gate() for _ in range(3)]
        handles = [await pool.submit(gate) for gate in gates]
        for gate in gates:
            await gate.entered.wait()
        assert await handles[1].cancel()
        for gate in gates:
            gate.opened.set()
        results = await asyncio.gather(*handles, return_exceptions=True)
        assert [results[0], type(results[1]), results[2]] == [
            "through",
            asyncio.CancelledError,
            "through",
        ]


async def test_everyone_who_asks_gets_the_result_and_a_timeout_disturbs_no_one_else(make_gate):
    async with AsyncTaskWorker() as pool:
        gate = make_gate()
        task_id = await pool.add_task(gate)
        futures = [pool.get_task_future(task_id) for _ in range(3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.get_task_future(task_id), 0.001)
        with pytest.raises(TimeoutError):
            await pool.wait_for_task(task_id, timeout=0.001)
        with pytest.raises(TimeoutError):
            await pool.wait_for_tasks([task_id], timeout=0.001)
        with pytest.raises(TimeoutError):
            await pool.wait_for_any_task([task_id], timeout=0.001)
        futures[0].cancel()
        gate.opened.set()
        assert await asyncio.gather(*futures[1:]) == ["through"] * 2
        assert await pool.get_task_future(task_id) == "through"


async def test_futures_that_were_given_up_do_not_pile_up(make_gate):
    async with AsyncTaskWorker() as pool:
        gate = make_gate()
        task_id = await pool.add_task(gate)
        for _ in range(100):
            pool.get_task_future(task_id).cancel()
            with pytest.raises(TimeoutError):
                await pool.wait_for_any_task([task_id], timeout=0)
        await asyncio.sleep(0)
        assert len(pool._lifetime.records.get(task_id).futures) == 0
        gate.opened.set()


async def test_a_future_raises_the_original_exception_and_cancelled_error_for_a_cancelled_task():
    async with AsyncTaskWorker() as pool:
        failed = await pool.add_task(fail)
        with pytest.raises(ValueError, match="no good") as raised:
            await pool.get_task_future(failed)
        assert raised.value is pool.get_task_info(failed).exception
        cancelled = await pool.add_task(forever)
        future = pool.get_task_future(cancelled)
        await pool.cancel_task(cancelled)
        with pytest.raises(asyncio.CancelledError):
            await future
        with pytest.raises(asyncio.CancelledError):
            await pool.get_task_future(cancelled)


async def test_many_tasks_can_be_waited_for_together(make_gate):
    async def give(value):
        return value

    async with AsyncTaskWorker() as pool:
        ids = [await pool.add_task(give, number) for number in range(4)]
        assert await pool.wait_for_tasks(ids) == [0, 1, 2, 3]
        assert await asyncio.gather(*pool.get_task_futures(ids)) == [0, 1, 2, 3]
        gate = make_gate()
        slow = await pool.add_task(gate)
        assert await pool.wait_for_any_task([slow, ids[2]]) == (2, ids[2])
        with pytest.raises(ValueError, match="task_ids"):
            await pool.wait_for_any_task([])
        gate.opened.set()


async def test_a_task_past_its_timeout_fails_and_the_error_names_the_limit():
    async with AsyncTaskWorker(task_timeout=0.01) as pool:
        handle = await pool.submit(forever)
        with pytest.raises(TimeoutError, match=r"0\.01 s") as raised:
            await handle
        assert isinstance(raised.value, AttemptTimeout)
        assert (handle.status, "0.01 s" in handle.info.error) == ("failed", True)
        other = await pool.submit(forever, timeout=0.02)
        with pytest.raises(TimeoutError, match=r"0\.02 s"):
            await other


async def test_an_infinite_timeout_switches_the_default_off():
    async def slow():
        await asyncio.sleep(0.05)
        return "done"

    async with AsyncTaskWorker(task_timeout=0.01) as pool:
        assert await (await pool.submit(slow, timeout=math.inf)) == "done"


@pytest.mark.parametrize("timeout", [0, -1, math.nan, "soon"])
async def test_a_timeout_that_makes_no_sense_is_a_value_error(timeout):
    async with AsyncTaskWorker() as pool:
        with pytest.raises(ValueError, match="timeout"):
            await pool.add_task(noop, timeout=timeout)
    with pytest.raises(ValueError, match="task_timeout"):
        AsyncTaskWorker(task_timeout=timeout)


async def test_a_timeout_error_of_the_users_own_is_not_reported_as_ours():
    async def own():
        raise TimeoutError("the database was slow")

    async with AsyncTaskWorker(task_timeout=30) as pool:
        handle = await pool.submit(own)
        with pytest.raises(TimeoutError, match="database") as raised:
            await handle
        assert not isinstance(raised.value, AttemptTimeout)


async def test_a_thread_past_its_timeout_is_left_behind_and_the_error_says_so(caplog):
    let_go = threading.Event()
    async with AsyncTaskWorker(max_workers=1) as pool:
        handle = await pool.submit(let_go.wait, 30, timeout=0.05)
        with pytest.raises(TimeoutError, match="left behind"):
            await handle
        assert await (await pool.submit(noop)) == "done"
        let_go.set()
    assert "left behind" in caplog.text


async def test_a_thread_that_is_cancelled_is_left_behind_and_its_task_is_cancelled(caplog, until):
    entered, let_go = threading.Event(), threading.Event()

    def body():
        entered.set()
        let_go.wait(30)
        return "too late"

    async with AsyncTaskWorker(max_workers=1) as pool:
        handle = await pool.submit(body)
        await until(entered.is_set)
        assert await handle.cancel()
        assert handle.status == "cancelled"
        assert await (await pool.submit(noop)) == "done"
        let_go.set()
    assert "left behind" in caplog.text
    assert handle.info.result is None


async def test_a_stop_lets_bodies_end_and_cancels_what_waits(make_gate):
    pool = AsyncTaskWorker(max_workers=1)
    await pool.start()
    gate = make_gate()
    running = await pool.submit(gate)
    waiting = await pool.submit(noop)
    await gate.entered.wait()
    stopping = asyncio.create_task(pool.stop(30))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait_for(stopping, 10)
    assert (await running, waiting.status) == ("through", "cancelled")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await pool.stop()


async def test_a_stop_cancels_bodies_when_their_time_is_over(make_gate):
    pool = AsyncTaskWorker()
    await pool.start()
    gate = make_gate()
    handle = await pool.submit(gate)
    await gate.entered.wait()
    await pool.stop(0.01)
    assert (gate.cancelled, handle.status) == (True, "cancelled")


async def test_a_body_that_ignores_being_cancelled_holds_a_stop_for_a_second_at_most(
    deaf_body, caplog, until
):
    pool = AsyncTaskWorker()
    await pool.start()
    handle = await pool.submit(deaf_body)
    future = handle.result()
    await until(lambda: handle.status == "running")
    began = time.monotonic()
    await pool.stop(0.1)
    assert time.monotonic() - began < 3.0  # 1.1 s, and what a busy machine adds
    assert handle.status == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        await future
    assert "deaf" in caplog.text
    deaf_body.heeds = True


async def test_a_body_that_was_left_behind_is_not_counted_again_when_it_ends(until):
    let_go, over = asyncio.Event(), []

    async def stubborn():
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        over.append(True)
        return "too late"

    pool, told = AsyncTaskWorker(), []
    pool.subscribe(told.append)
    await pool.start()
    handle = await pool.submit(stubborn)
    await until(lambda: handle.status == "running")
    await pool.stop(0)
    let_go.set()
    await until(lambda: over and pool.stats()["running"] == 0)
    assert (handle.status, handle.info.result) == ("cancelled", None)
    assert (pool.stats()["cancelled"], pool.stats()["completed"], len(told)) == (1, 0, 1)


async def test_a_stop_goes_on_when_who_asked_for_it_waits_no_more(make_gate):
    pool = AsyncTaskWorker()
    await pool.start()
    gate = make_gate()
    handle = await pool.submit(gate)
    await gate.entered.wait()
    asked = asyncio.create_task(pool.stop(30))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await pool.stop(0.01)
    assert (gate.cleaned, handle.status) == (True, "cancelled")


async def test_a_second_stop_can_hasten_the_first(make_gate):
    pool = AsyncTaskWorker()
    await pool.start()
    gate = make_gate()
    handle = await pool.submit(gate)
    await gate.entered.wait()
    patient = asyncio.create_task(pool.stop(3600))
    await asyncio.sleep(0)
    await pool.stop(0)
    await patient
    assert handle.status == "cancelled"


async def test_every_future_resolves_when_a_pool_stops(make_gate):
    pool = AsyncTaskWorker(max_workers=2)
    await pool.start()
    bodies = [noop, fail, forever, noop, forever]
    futures = [(await pool.submit(bodies[number % 5])).result() for number in range(100)]
    await pool.stop(0)
    assert all(future.done() for future in futures)


async def test_a_pool_that_is_stopped_twice_or_never_started_is_not_harmed():
    pool = AsyncTaskWorker()
    await pool.stop()
    await pool.start()
    await pool.start()
    await asyncio.gather(pool.stop(), pool.stop())
    await pool.stop()


async def test_a_pool_starts_again_empty_and_remembers_until_then():
    pool = AsyncTaskWorker()
    await pool.start()
    handle = await pool.submit(noop)
    await handle
    await pool.stop()
    assert pool.get_task_info(handle.id).result == "done"
    assert await pool.get_task_future(handle.id) == "done"
    await pool.start()
    assert pool.get_all_tasks() == []
    assert await (await pool.submit(noop)) == "done"
    await pool.stop()


def test_a_pool_works_on_one_loop_after_another():
    pool = AsyncTaskWorker()

    async def once():
        async with pool:
            return await (await pool.submit(noop))

    assert [asyncio.run(once()) for _ in range(2)] == ["done", "done"]


def test_a_loop_that_ends_without_a_stop_ends_the_pool_too():
    pool = AsyncTaskWorker(max_workers=2)
    handles = []

    async def leave():
        await pool.start()
        handles.extend([await pool.submit(forever) for _ in range(5)])
        await asyncio.sleep(0)

    asyncio.run(leave())
    assert [handle.status for handle in handles] == ["cancelled"] * 5
    assert not pool.running


async def test_a_body_can_stop_its_own_pool(until):
    pool = AsyncTaskWorker()
    await pool.start()

    async def last():
        await pool.stop(5)
        return "stopped it"

    handle = await pool.submit(last)
    assert await handle == "stopped it"
    await until(lambda: not pool.running)


async def test_join_waits_for_all_that_is_pending_or_running(make_gate):
    async with AsyncTaskWorker(max_workers=1) as pool:
        await pool.join()
        gate = make_gate()
        await pool.add_task(gate)
        last = await pool.submit(noop)
        joining = asyncio.create_task(pool.join())
        await gate.entered.wait()
        assert not joining.done()
        gate.opened.set()
        await joining
        assert last.status == "completed"


def test_a_supervisor_starts_and_stops_a_pool():
    pool = AsyncTaskWorker(name="my pool")
    supervisor = Supervisor([pool], name="test")
    supervisor.start()
    assert pool.running
    assert [status.name for status in supervisor.services()] == ["my pool"]
    added = asyncio.run_coroutine_threadsafe(pool.submit(noop), pool._lifetime.loop)
    assert added.result(10).task == "noop"
    assert supervisor.stop()
    assert not pool.running


async def test_a_body_that_cancels_itself_fails_alone():
    async def give_up():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async with AsyncTaskWorker(max_workers=1) as pool:
        handle = await pool.submit(give_up)
        assert await (await pool.submit(noop)) == "done"
        assert handle.status == "failed"


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
async def test_whatever_a_body_raises_fails_its_task_and_no_worker(error):
    async def body():
        raise error

    async with AsyncTaskWorker(max_workers=1) as pool:
        handle = await pool.submit(body)
        await pool.join()
        assert (handle.status, type(handle.info.exception)) == ("failed", error)
        assert await (await pool.submit(noop)) == "done"
