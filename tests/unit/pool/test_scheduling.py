"""Which task runs when, and which is refused."""

from __future__ import annotations

import asyncio
import math
import threading
from functools import partial

import pytest

from mainspring import AsyncTaskWorker, current_job
from mainspring.errors import InvalidPriority, NotRunning, WrongLoop


async def noop(*_arguments):
    return None


async def busy_pool(make_gate, **options):
    """A pool with one worker, and that one taken."""
    pool = AsyncTaskWorker(max_workers=1, **options)
    await pool.start()
    gate = make_gate()
    await pool.add_task(gate)
    await gate.entered.wait()
    return pool, gate


async def test_the_lower_number_runs_first_and_equals_in_the_order_they_came(make_gate):
    pool, gate = await busy_pool(make_gate)
    ran = []

    async def note(name):
        ran.append(name)

    for name, priority in [("c", 5), ("a", -1), ("d", 5), ("b", 0.5), ("e", 5)]:
        await pool.add_task(note, name, priority=priority)
    gate.opened.set()
    await pool.join()
    assert ran == ["a", "b", "c", "d", "e"]
    await pool.stop()


@pytest.mark.parametrize("priority", ["high", None, math.nan, [1], True])
async def test_a_priority_that_is_no_number_is_refused_and_leaves_no_record(priority):
    async with AsyncTaskWorker() as pool:
        with pytest.raises(InvalidPriority) as refused:
            await pool.add_task(noop, priority=priority, task_id="x")
        assert isinstance(refused.value, TypeError)
        assert pool.get_all_tasks() == []
        assert await pool.add_task(noop, priority=-7) is not None


async def test_no_more_than_max_workers_bodies_run_at_once():
    running = most = 0

    async def body():
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    async with AsyncTaskWorker(max_workers=3) as pool:
        for _ in range(50):
            await pool.add_task(body)
        await pool.join()
    assert most == 3


async def test_an_idle_pool_starts_a_task_at_once_whatever_the_poll_interval(make_gate):
    async with AsyncTaskWorker(worker_poll_interval=3600) as pool:
        for _ in range(3):
            gate = make_gate()
            await pool.add_task(gate)
            await asyncio.wait_for(gate.entered.wait(), 5)
            gate.opened.set()
            await pool.join()


async def test_add_task_waits_while_the_line_is_full(make_gate, until):
    pool, gate = await busy_pool(make_gate, max_queue_size=2)
    for _ in range(2):
        await pool.add_task(noop)
    late = asyncio.create_task(pool.add_task(noop, task_id="late"))
    await asyncio.sleep(0)
    assert pool.full
    assert not late.done()
    assert pool.get_task_info("late") is None
    gate.opened.set()
    assert await late == "late"
    await pool.join()
    assert pool.stats()["completed"] == 4
    await pool.stop()


async def test_fifty_producers_against_a_cap_lose_and_hang_nothing():
    done = []

    async def body(number):
        await asyncio.sleep(0)
        done.append(number)

    async with AsyncTaskWorker(max_workers=7, max_queue_size=100) as pool:

        async def produce(first):
            for number in range(first, first + 40):
                await pool.add_task(body, number)

        async with asyncio.TaskGroup() as producers:
            for producer in range(50):
                producers.create_task(produce(producer * 40))
        await pool.join()
    assert sorted(done) == list(range(2000))


async def test_cancelling_a_pending_task_frees_its_place(make_gate):
    pool, _gate = await busy_pool(make_gate, max_queue_size=1)
    first = await pool.add_task(noop)
    late = asyncio.create_task(pool.add_task(noop, task_id="late"))
    await asyncio.sleep(0)
    assert not late.done()
    assert await pool.cancel_task(first)
    assert await asyncio.wait_for(late, 5) == "late"
    await pool.stop(0)


async def test_a_producer_that_gives_up_waiting_takes_no_place(make_gate):
    pool, gate = await busy_pool(make_gate, max_queue_size=1)
    await pool.add_task(noop)
    impatient = asyncio.create_task(pool.add_task(noop, task_id="x"))
    await asyncio.sleep(0)
    impatient.cancel()
    patient = asyncio.create_task(pool.add_task(noop, task_id="y"))
    gate.opened.set()
    assert await asyncio.wait_for(patient, 5) == "y"
    await pool.join()
    assert pool.get_task_info("x") is None
    await pool.stop()


async def test_producers_that_wait_at_a_stop_are_told(make_gate):
    pool, _gate = await busy_pool(make_gate, max_queue_size=1)
    await pool.add_task(noop)
    waiting = [asyncio.create_task(pool.add_task(noop)) for _ in range(5)]
    await asyncio.sleep(0)
    await pool.stop(0)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [NotRunning] * 5


async def test_a_task_before_the_start_or_after_the_stop_is_refused():
    pool = AsyncTaskWorker()
    with pytest.raises(RuntimeError, match="start"):
        await pool.add_task(noop)
    await pool.start()
    await pool.stop()
    with pytest.raises(RuntimeError, match="start"):
        await pool.add_task(noop)


async def test_a_task_from_another_loop_is_a_clear_error_and_threadsafe_when_sent_over():
    async with AsyncTaskWorker() as pool:
        loop = asyncio.get_running_loop()
        answers = []

        waiting = await pool.add_task(asyncio.sleep, 60)

        def elsewhere():
            async def ask_for_its_future():
                await pool.get_task_future(waiting)

            calls = [pool.add_task(noop), pool.cancel_task(waiting), pool.stop(), pool.start()]
            for call in [*calls, ask_for_its_future()]:
                with pytest.raises(WrongLoop) as refused:
                    asyncio.run(call)
                answers.append(refused.value)
            sent = asyncio.run_coroutine_threadsafe(pool.add_task(noop, task_id="sent"), loop)
            answers.append(sent.result(10))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert isinstance(answers[0], RuntimeError)
        assert "run_coroutine_threadsafe" in str(answers[0])
        assert answers[-1] == "sent"
        await pool.cancel_task(waiting)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "many"])
def test_less_than_one_worker_is_a_value_error(workers):
    with pytest.raises(ValueError, match="max_workers"):
        AsyncTaskWorker(max_workers=workers)


async def test_arguments_that_do_not_fit_are_refused_at_add_task():
    async def pair(first, second=2, *, third):
        return first, second, third

    async with AsyncTaskWorker() as pool:
        for arguments, keywords in [
            ((), {}),
            ((1,), {}),
            ((1, 2, 3), {"third": 3}),
            ((1,), {"x": 1}),
        ]:
            with pytest.raises(TypeError, match="pair"):
                await pool.add_task(pair, *arguments, **keywords)
        with pytest.raises(TypeError, match="function"):
            await pool.add_task(None)
        assert pool.get_all_tasks() == []
        assert await (await pool.submit(pair, 1, third=3)) == (1, 2, 3)


async def test_parameters_named_as_our_options_can_be_passed():
    async def greedy(args, kwargs, priority, timeout, metadata, task_id, use_cache, cache_ttl):
        return args, kwargs, priority, timeout, metadata, task_id, use_cache, cache_ttl

    names = (
        "args",
        "kwargs",
        "priority",
        "timeout",
        "metadata",
        "task_id",
        "use_cache",
        "cache_ttl",
    )
    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(greedy, kwargs=dict(zip(names, range(8), strict=True)))
        assert await handle == tuple(range(8))
        handle = await pool.submit(greedy, args=range(8), priority=-1)
        assert await handle == tuple(range(8))
        assert handle.info.priority == -1


async def test_progress_callback_goes_to_functions_that_name_it_and_to_no_other():
    async def names_it(progress_callback):
        return callable(progress_callback)

    async def keywords_only(*, progress_callback=None):
        return callable(progress_callback)

    async def takes_anything(**everything):
        return everything

    async def gets_ones_own(progress_callback=None):
        return progress_callback

    async with AsyncTaskWorker() as pool:
        assert await (await pool.submit(names_it))
        assert await (await pool.submit(keywords_only))
        assert await (await pool.submit(takes_anything)) == {}
        assert await (await pool.submit(gets_ones_own, progress_callback="mine")) == "mine"


async def test_a_sync_function_runs_in_a_thread_and_knows_its_task():
    def body(number):
        return threading.get_ident(), number, current_job.id

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(body, 7)
        assert (await handle)[1:] == (7, handle.id)
        assert (await handle)[0] != threading.get_ident()


async def test_whatever_can_be_called_can_be_a_task():
    class Service:
        async def method(self, number):
            return number

        async def __call__(self, number):
            return number

    async def double(number):
        return number

    service = Service()
    functions = [service.method, service, partial(double), lambda number: double(number), abs]  # noqa: PLW0108  # a lambda
    async with AsyncTaskWorker() as pool:
        handles = [await pool.submit(function, 3) for function in functions]
        assert [await handle for handle in handles] == [3] * 5


async def test_a_sync_function_that_raises_stop_iteration_fails_and_hangs_nobody():
    async with AsyncTaskWorker() as pool:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await (await pool.submit(lambda: next(iter(()))))


async def test_current_job_is_the_task_inside_its_body_only():
    async def body():
        await asyncio.sleep(0)
        return current_job.id, current_job.task, current_job.attempt

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(body, task_id="mine")
        assert (await handle)[0] == "mine"
        assert not current_job


async def test_a_line_with_many_cancelled_tasks_keeps_none_of_them(make_gate):
    pool, _gate = await busy_pool(make_gate)
    for _ in range(1000):
        await pool.cancel_task(await pool.add_task(noop))
    assert len(pool._lifetime.line._heap) < 100
    await pool.stop(0)
