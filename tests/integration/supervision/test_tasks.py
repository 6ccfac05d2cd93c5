"""Single calls in the background."""

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import (
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from functools import partial
from multiprocessing import get_context

import pytest

from mainspring import (
    TASK_HIGH,
    TASK_LOW,
    TaskCollection,
    background_task,
    background_worker,
    co_apply,
    wait_completed,
)
from mainspring.errors import InvalidOption, TargetNotAsync, UnknownOption


def test_spawn_returns_a_standard_future(supervisor):
    future = supervisor.spawn(divmod, 7, 2)
    assert isinstance(future, Future)
    assert future.result(10) == (3, 1)


def test_a_task_is_one_call_however_often_it_is_put(supervisor):
    calls = []
    decorated = background_task(supervisor=supervisor)(lambda: calls.append(1))
    task = decorated()
    supervisor.put_task(task)
    wait_completed(task, timeout=10)
    supervisor.put_task(task)
    supervisor.spawn(int).result(10)
    supervisor.stop()
    assert calls == [1]


def test_a_function_with_a_yield_is_refused_where_it_is_decorated(supervisor):
    def parts():
        yield 1

    async def aparts():
        yield 1

    for function in (parts, aparts, partial(parts)):
        with pytest.raises(InvalidOption, match="without a yield"):
            background_task(function, supervisor=supervisor)


def test_a_task_tells_what_becomes_of_it(supervisor, until):
    gate = threading.Event()

    @background_task(priority=TASK_HIGH, supervisor=supervisor)
    def work(number):
        gate.wait(10)
        return number * 2

    task = work(21)
    until(lambda: task.status == "started")
    assert supervisor.get_task(task.id) is task
    assert task.result is None
    gate.set()
    assert wait_completed(task, timeout=10) == 42
    assert (task.status, task.result, task.exception) == ("completed", 42, None)
    assert task.priority == TASK_HIGH
    assert task.time_queued <= task.time_started
    until(lambda: supervisor.get_task(task.id) is None)


def test_a_task_that_raises_does_not_look_completed(supervisor):
    task = background_task(lambda: 1 / 0, supervisor=supervisor)()
    with pytest.raises(ZeroDivisionError):
        wait_completed(task, timeout=10)
    assert task.status == "failed"
    assert isinstance(task.exception, ZeroDivisionError)


def test_several_tasks_are_waited_for_in_order(supervisor):
    async def later(number):
        await asyncio.sleep(0.01 / number)
        return number

    start = background_task(later, supervisor=supervisor)
    assert wait_completed([start(number) for number in (1, 2, 3)], timeout=10) == [1, 2, 3]
    slow = [start(0.0001), start(0.0001)]
    for tasks in (slow[0], slow):
        since = time.monotonic()
        with pytest.raises(TimeoutError):
            wait_completed(tasks, timeout=0.01)
        assert time.monotonic() - since < 5
    for task in slow:
        assert task.cancel()


def test_a_task_can_be_delayed_and_a_stop_cancels_it(supervisor, until):
    results = []
    start = background_task(
        time.monotonic, delay=0.05, callback=results.append, supervisor=supervisor
    )
    since = time.monotonic()
    assert wait_completed(start(), timeout=10) - since >= 0.05
    until(lambda: results)
    late = background_task(int, delay=3600, supervisor=supervisor)()
    assert late.status == "delayed"
    supervisor.stop()
    with pytest.raises(CancelledError):
        wait_completed(late, timeout=10)
    assert late.status == "cancelled"


def test_options_of_a_task_that_make_no_sense_are_named():
    with pytest.raises(InvalidOption, match="tt"):
        background_task(int, tt="coroutine")
    with pytest.raises(UnknownOption, match="prio"):
        background_task(int, prio=1)


def test_a_call_in_the_thread_pool_from_a_coroutine(supervisor):
    async def live():
        return await co_apply(divmod, args=(7, 2), priority=TASK_LOW, supervisor=supervisor)

    assert asyncio.run(live()) == (3, 1)


def test_a_delayed_coroutine_runs_though_no_loop_ran_before(supervisor):
    async def answer():
        return 7

    task = background_task(answer, delay=0.01, supervisor=supervisor)()
    assert wait_completed(task, timeout=5) == 7


def test_a_delayed_coroutine_on_a_loop_that_does_not_exist_fails(supervisor):
    async def answer():
        return 7

    task = background_task(answer, delay=0.01, loop="nowhere", supervisor=supervisor)()
    with pytest.raises(InvalidOption, match="nowhere"):
        wait_completed(task, timeout=5)
    assert supervisor.get_task(task.id) is None


@pytest.mark.parametrize(
    ("option", "value"), [("priority", "high"), ("delay", "soon"), ("delay", -1)]
)
def test_an_option_of_a_task_that_makes_no_sense_is_named_and_harms_no_other(
    supervisor, option, value
):
    with pytest.raises(InvalidOption) as caught:
        background_task(abs, supervisor=supervisor, **{option: value})
    assert caught.value.option == option
    assert supervisor.spawn(abs, -1).result(10) == 1


def test_a_call_at_a_priority_that_is_no_number_is_refused_and_harms_no_other(supervisor):
    with pytest.raises(InvalidOption, match="priority"):
        supervisor.spawn_at("high", abs, -1)
    assert supervisor.spawn(abs, -1).result(10) == 1


def test_a_call_that_its_coroutine_no_longer_waits_for_is_cancelled_without_a_word(
    supervisor, caplog
):
    begun, go_on, made = threading.Event(), threading.Event(), []
    supervisor.set_thread_pool(pool_size=1)

    def first():
        begun.set()
        go_on.wait(5)

    async def main():
        running = asyncio.create_task(co_apply(first, supervisor=supervisor))
        queued = asyncio.create_task(co_apply(made.append, (1,), supervisor=supervisor))
        await asyncio.to_thread(begun.wait, 5)
        for task in (running, queued):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        go_on.set()
        assert await co_apply(divmod, (7, 2), supervisor=supervisor) == (3, 1)

    asyncio.run(main())
    supervisor.stop()
    assert made == []
    assert not caplog.records


def test_who_waits_for_several_tasks_hears_of_a_cancelled_one(supervisor):
    start = background_task(time.sleep, delay=60, supervisor=supervisor)
    task = start(0)
    assert task.cancel()
    assert task.cancel()
    done, _ = wait([task.future], timeout=5)
    assert done == {task.future}
    assert task.status == "cancelled"


@pytest.mark.parametrize(
    "kind",
    [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=get_context("spawn"))],
    ids=["threads", "processes"],
)
def test_tasks_and_calls_go_to_the_executor_that_stands_in_for_the_pool(supervisor, kind):
    with kind(1) as executor:
        supervisor.thread_pool = executor
        assert supervisor.spawn(divmod, 7, 2).result(20) == (3, 1)
        task = background_task(divmod, supervisor=supervisor)(7, 2)
        assert wait_completed(task, 20) == (3, 1)
        assert task.status == "completed"
        assert asyncio.run(co_apply(divmod, (9, 2), supervisor=supervisor)) == (4, 1)
        collection = TaskCollection(supervisor=supervisor)
        collection.append(time.monotonic)
        assert collection.run()["time.monotonic"] > 0
        supervisor.stop()


@pytest.mark.parametrize(
    "options",
    [{"delay": -1}, {"delay": "soon"}, {"priority": "high"}, {"callback": 5}],
)
def test_a_value_of_a_tasks_option_that_makes_no_sense_is_named(options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        background_task(time.monotonic, **options)


def test_a_task_that_was_put_can_be_found_by_its_id_until_it_has_ended(supervisor, until):
    go_on = threading.Event()
    task = background_task(go_on.wait, supervisor=supervisor)(5)
    assert supervisor.get_task(task.id) is task
    go_on.set()
    assert wait_completed(task, 5) is True
    until(lambda: supervisor.get_task(task.id) is None)
    assert supervisor.get_task("unknown") is None


@pytest.mark.parametrize("function", [5, "name", classmethod(int)])
def test_what_can_not_be_called_is_refused_where_it_is_decorated(supervisor, function):
    with pytest.raises(InvalidOption, match="func="):
        background_task(function, supervisor=supervisor)
    with pytest.raises(InvalidOption, match="func="):
        supervisor.put_task(function)


def test_an_async_callback_is_refused_since_nobody_would_await_it():
    async def note(result):
        pass

    with pytest.raises(InvalidOption, match="callback"):
        background_task(int, callback=note)


def test_a_plain_function_that_returns_a_coroutine_is_a_failed_task(supervisor):
    async def later():
        pass

    task = background_task(lambda: later(), supervisor=supervisor)()  # noqa: PLW0108  a plain one
    with pytest.raises(TargetNotAsync, match="background task"):
        wait_completed(task, timeout=10)
    assert task.status == "failed"


def test_a_clock_that_is_set_makes_no_task_late(supervisor, monkeypatch, caplog):
    supervisor.start()
    times = iter([0.0, 3600.0])
    monkeypatch.setattr("mainspring.background.task.wall_clock", lambda: next(times))
    task = background_task(int, supervisor=supervisor)()
    assert wait_completed(task, timeout=10) == 0
    assert task.time_started - task.time_queued == 3600
    assert not caplog.records


def test_a_delayed_task_that_is_begun_while_its_supervisor_stops_is_cancelled(supervisor):
    tasks, begun = [], threading.Event()

    @background_worker(supervisor=supervisor)
    def work():
        begun.set()
        while supervisor.active:
            time.sleep(0.001)
        tasks.append(background_task(int, delay=3600, supervisor=supervisor)())

    work.start()
    assert begun.wait(10)
    supervisor.stop()
    with pytest.raises(CancelledError):
        wait_completed(tasks[0], timeout=10)
    assert supervisor.get_tasks() == {}


def test_a_delayed_task_that_is_cancelled_keeps_nothing_of_its_arguments(supervisor, until):
    class Load:
        pass

    load = Load()
    kept = weakref.ref(load)
    task = background_task(print, delay=3600, supervisor=supervisor)(load)
    task.cancel()
    del task, load
    until(lambda: gc.collect() is not None and kept() is None)


@pytest.mark.parametrize("option", ["tt", "loop", "when"])
def test_a_call_from_a_coroutine_refuses_what_it_would_pass_over(supervisor, option):
    with pytest.raises(UnknownOption, match=option):
        asyncio.run(co_apply(int, supervisor=supervisor, **{option: "process"}))


def test_what_is_no_supervisor_is_refused_where_a_function_is_decorated():
    with pytest.raises(InvalidOption, match="supervisor"):
        background_task(int, supervisor="mine")


def test_tasks_of_a_generator_run_side_by_side(supervisor):
    together = threading.Barrier(3)
    start = background_task(together.wait, supervisor=supervisor)
    assert sorted(wait_completed((start(10) for _ in range(3)), timeout=20)) == [0, 1, 2]


def test_a_coroutine_for_a_loop_that_is_closed_fails_without_a_warning(supervisor):
    async def answer():
        return 7

    loop = asyncio.new_event_loop()
    loop.close()
    task = background_task(answer, loop=loop, supervisor=supervisor)()
    with pytest.raises(RuntimeError, match="closed"):
        wait_completed(task, timeout=10)
    del task
    gc.collect()
