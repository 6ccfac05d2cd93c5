import asyncio
import signal
import threading
import time
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

from mainspring.background.local import g
from mainspring.background.tasks.collection import FunctionCollection, TaskCollection
from mainspring.background.tasks.decorator import background_task
from mainspring.background.tasks.waiting import co_apply, wait_completed
from mainspring.errors import InvalidOption, NotRunning, UnknownOption
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.threads import lanes
from mainspring.supervision.threads.pool import PriorityThreadPool
from mainspring.supervision.threads.priority import (
    TASK_CRITICAL,
    TASK_HIGH,
    TASK_LOW,
    TASK_NORMAL,
    PoolSizes,
    level,
    pool_sizes,
)
from mainspring.testing.contracts.service import ServiceContract


class TestThreadPool(ServiceContract):
    def make(self):
        return PriorityThreadPool(PoolSizes(2, keep=1))


class Gate:
    """Calls that stay in the pool until they are let go."""

    def __init__(self, pool):
        self.pool = pool
        self.release = threading.Event()
        self.running = []
        self.lock = threading.Lock()

    def submit(self, priority, label):
        def call():
            with self.lock:
                self.running.append(label)
            self.release.wait(10)

        return self.pool.submit_at(priority, call)


@pytest.fixture
def pool():
    made = PriorityThreadPool(PoolSizes(2, reserve_normal=1, reserve_high=1))
    yield made
    made.shutdown()


def test_each_priority_uses_its_share_and_critical_starts_at_once(pool, until):
    gate = Gate(pool)
    for number in range(3):
        gate.submit(TASK_LOW, f"low {number}")
    until(lambda: len(gate.running) == 2)
    gate.submit(TASK_NORMAL, "normal")
    until(lambda: "normal" in gate.running)
    gate.submit(TASK_NORMAL, "normal 2")
    gate.submit(TASK_HIGH, "high")
    until(lambda: "high" in gate.running)
    gate.submit(TASK_HIGH, "high 2")
    for number in range(3):
        gate.submit(TASK_CRITICAL, f"critical {number}")
    until(lambda: len(gate.running) == 7)
    assert not {"low 2", "normal 2", "high 2"} & set(gate.running)
    assert pool.status().queued == {"high": 1, "normal": 1, "low": 1}
    gate.release.set()
    until(lambda: len(gate.running) == 10)


def test_the_more_urgent_of_those_that_wait_goes_first(until):
    pool = PriorityThreadPool(PoolSizes(1))
    gate, order = Gate(pool), []
    gate.submit(TASK_NORMAL, "holds")
    until(lambda: gate.running)
    for priority in (TASK_LOW, 150, TASK_NORMAL, TASK_HIGH, 10):
        pool.submit_at(priority, order.append, priority)
    gate.release.set()
    pool.shutdown()
    assert order == [10, TASK_HIGH, TASK_NORMAL, 150, TASK_LOW]


def test_equal_priorities_go_in_order(until):
    pool = PriorityThreadPool(PoolSizes(1))
    order = []
    for number in range(200):
        pool.submit(order.append, number)
    pool.shutdown()
    assert order == list(range(200))


def test_it_uses_no_more_threads_than_it_may(until):
    pool = PriorityThreadPool(PoolSizes(3))
    futures = [pool.submit(time.sleep, 0.0001) for _ in range(500)]
    wait_completed(futures, timeout=30)
    assert pool.status().threads <= 3
    pool.shutdown()


def test_the_size_can_change_while_it_works(pool, until):
    gate = Gate(pool)
    for number in range(6):
        gate.submit(TASK_LOW, number)
    until(lambda: len(gate.running) == 2)
    pool.resize(PoolSizes(5))
    until(lambda: len(gate.running) == 5)
    gate.release.set()


def test_a_closed_pool_takes_nothing_and_finishes_what_it_has():
    pool = PriorityThreadPool(PoolSizes(1))
    futures = [pool.submit(int) for _ in range(50)]
    pool.shutdown()
    assert all(future.result(0) == 0 for future in futures)
    with pytest.raises(NotRunning):
        pool.submit(int)


def test_a_priority_that_is_no_number_is_refused_and_the_pool_goes_on(pool):
    for refused in ("high", None, 1.5):
        with pytest.raises(InvalidOption, match="priority"):
            pool.submit_at(refused, int)
    assert pool.submit(int).result(10) == 0


def test_a_signal_in_the_middle_of_a_submission_loses_no_call(pool, monkeypatch, until):
    insort, made = lanes.insort, []

    def interrupted(priorities, priority):
        monkeypatch.setattr(lanes, "insort", insort)
        signal.raise_signal(signal.SIGUSR1)
        insort(priorities, priority)

    def heed(*_):
        pool.execute(TASK_NORMAL, lambda: made.append("handler"))
        pool.execute_at(time.monotonic() + 0.01, TASK_NORMAL, lambda: made.append("timed"))

    before = signal.signal(signal.SIGUSR1, heed)
    try:
        for number in range(20):
            monkeypatch.setattr(lanes, "insort", interrupted)
            pool.execute(TASK_NORMAL, lambda: made.append("plain"))
            until(lambda: len(made) == (number + 1) * 3)  # noqa: B023  called at once
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {made.count(which) for which in ("plain", "handler", "timed")} == {20}


def test_a_call_that_raises_tells_its_future_or_the_log(pool, caplog, until):
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(10)
    pool.execute(TASK_NORMAL, lambda: 1 / 0)
    until(lambda: "ZeroDivisionError" in caplog.text)
    assert pool.submit(int).result(10) == 0


def test_a_cancelled_call_is_not_made(pool, until):
    gate = Gate(pool)
    for number in range(4):
        gate.submit(TASK_NORMAL, number)
    until(lambda: len(gate.running) == 3)
    future = pool.submit(gate.running.append, "cancelled")
    assert future.cancel()
    gate.release.set()
    until(lambda: len(gate.running) == 4)
    assert "cancelled" not in gate.running


def test_a_stuck_thread_is_left_behind_and_named(caplog):
    release = threading.Event()
    pool = PriorityThreadPool(PoolSizes(1), name="mypool")
    supervisor = Supervisor([pool])
    supervisor.start()
    pool.submit(release.wait, 20)
    supervisor.stop(0.1)
    release.set()
    assert "mypool_1" in caplog.text


def test_sizes_are_worked_out_as_the_pages_say():
    assert pool_sizes(max_size=20) == PoolSizes(20)
    assert pool_sizes(pool_size=10, reserve_normal=5, reserve_high=5) == PoolSizes(10, 5, 5)
    assert pool_sizes(pool_size=4, min_size="max").keep == 4
    assert pool_sizes(pool_size=4, min_size="max", max_size=6).keep == 6
    assert pool_sizes().size >= 5
    assert [level(one) for one in (-1, 0, 1, 50, 99, 150, 200, 999)] == [
        0,
        0,
        50,
        50,
        100,
        200,
        200,
        200,
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pool_size": 0}, "pool_size"),
        ({"reserve_high": -1}, "reserve_high"),
        ({"pool_size": 5, "max_size": 3}, "max_size"),
        ({"min_size": "most"}, "min_size"),
    ],
)
def test_sizes_that_make_no_sense_are_named(options, named):
    with pytest.raises(InvalidOption) as caught:
        pool_sizes(**options)
    assert caught.value.option == named


def test_spawn_returns_a_standard_future(supervisor):
    future = supervisor.spawn(divmod, 7, 2)
    assert isinstance(future, Future)
    assert future.result(10) == (3, 1)


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


@pytest.fixture(params=["one by one", "together"])
def collection(request, supervisor):
    def make(**options):
        if request.param == "one by one":
            return FunctionCollection(**options)
        return TaskCollection(supervisor=supervisor, **options)

    return make


def test_a_collection_gives_the_results_by_name(collection):
    functions = collection()

    @functions
    def one():
        return 1

    @functions(priority=TASK_LOW)
    def two():
        return 2

    assert one() == 1
    results, well = functions.execute()
    assert well
    assert sorted(results.values()) == [1, 2]
    assert functions() == functions.run() == results


def test_a_lower_priority_number_goes_first_zero_included():
    functions, order = FunctionCollection(), []
    for priority in (TASK_LOW, 0, TASK_HIGH, TASK_NORMAL):
        functions.append(lambda priority=priority: order.append(priority), priority=priority)
    functions.run()
    assert order == [0, TASK_HIGH, TASK_NORMAL, TASK_LOW]


def test_a_member_that_raises_does_not_stop_the_others(collection, caplog):
    told = []

    def on_error(error, why):
        told.append((type(error), why))

    functions = collection(on_error=on_error, on_error_kwargs={"why": "test"})
    functions.append(lambda: 1 / 0)
    functions.append(lambda: "fine")
    results, well = functions.execute()
    assert not well
    assert list(results.values()) == ["fine"]
    assert told == [(ZeroDivisionError, "test")]
    with_errors = collection(include_exceptions=True)
    with_errors.append(lambda: 1 / 0)
    assert isinstance(next(iter(with_errors.run().values())), ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text


def test_two_members_of_one_name_both_keep_their_results(collection):
    functions = collection()
    for number in range(3):
        functions.append(lambda number=number: number)
    assert sorted(functions.run().values()) == [0, 1, 2]


def test_a_member_can_be_removed(collection):
    functions = collection()
    functions.append(int)
    functions.remove(int)
    assert functions.run() == {}


def test_g_is_of_each_thread_its_own():
    g.word = "main"
    seen = []

    def look():
        seen.append(g.get("word", "nothing"))
        g.set("word", "thread")

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == ["nothing"]
    assert g.word == "main"
    assert g.has("word")
    g.clear("word")
    with pytest.raises(AttributeError, match="word"):
        _ = g.word


def test_g_is_right_across_asyncio_tasks():
    async def work(number):
        g.number = number
        await asyncio.sleep(0.001 * (3 - number))
        return g.number

    async def live():
        g.number = "parent"
        numbers = await asyncio.gather(*(work(number) for number in range(3)))
        return [*numbers, g.number]

    assert asyncio.run(live()) == [0, 1, 2, "parent"]


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


def test_a_bound_method_can_be_removed_from_a_collection():
    collection, heard = FunctionCollection(), []
    collection.append(heard.clear)
    collection.remove(heard.clear)
    assert collection.run() == {}


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
