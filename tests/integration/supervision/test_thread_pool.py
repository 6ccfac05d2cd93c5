"""The thread pool with priorities and reserves."""

import asyncio
import signal
import sys
import threading
import time
from contextvars import ContextVar

import pytest

from mainspring import (
    TASK_CRITICAL,
    TASK_HIGH,
    TASK_LOW,
    TASK_NORMAL,
    TaskSupervisor,
    background_worker,
    wait_completed,
)
from mainspring.errors import InvalidOption, NotRunning
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.threads import priority_queue
from mainspring.supervision.threads.driver import PoolDriver
from mainspring.supervision.threads.pool import PriorityThreadPool
from mainspring.supervision.threads.priority import PoolSizes, level, pool_sizes
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker
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


class CallAtNothing:
    """The lock of a pool; a call comes as a thread gives it back that has found nothing to do."""

    def __init__(self, pool):
        self.pool, self.lock = pool, pool._lock
        self.calls = 20

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
        is_free = not self.pool._queue.open and not self.pool._busy
        if is_free and self.calls and threading.current_thread() in self.pool._threads:
            self.calls -= 1
            self.pool.execute(TASK_NORMAL, int)


@pytest.mark.parametrize("size", [1, 3])
def test_a_call_that_comes_as_a_thread_has_found_none_starts_no_other(until, size):
    pool = PriorityThreadPool(PoolSizes(size))
    lock = pool._lock = CallAtNothing(pool)
    for _ in range(size):
        pool.submit(int)
    until(lambda: not lock.calls and not pool.status().queued and not pool.status().busy)
    assert pool.status().threads <= size
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
    insort, made = priority_queue.insort, []

    def interrupted(priorities, priority):
        monkeypatch.setattr(priority_queue, "insort", insort)
        signal.raise_signal(signal.SIGUSR1)
        insort(priorities, priority)

    def heed(*_):
        pool.execute(TASK_NORMAL, lambda: made.append("handler"))
        pool.execute_at(time.monotonic() + 0.01, TASK_NORMAL, lambda: made.append("timed"))

    before = signal.signal(signal.SIGUSR1, heed)
    try:
        for number in range(20):
            monkeypatch.setattr(priority_queue, "insort", interrupted)
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
        ({"pool_size": -1}, "pool_size"),
        ({"reserve_high": -1}, "reserve_high"),
        ({"reserve_normal": 1.5, "pool_size": 4}, "reserve_normal"),
        ({"reserve_high": "2"}, "reserve_high"),
        ({"max_size": "9"}, "max_size"),
        ({"pool_size": 5, "max_size": 3}, "max_size"),
        ({"min_size": "most"}, "min_size"),
        ({"min_size": 4, "max_size": 3}, "min_size"),
    ],
)
def test_sizes_that_make_no_sense_are_named(options, named):
    with pytest.raises(InvalidOption) as caught:
        pool_sizes(**options)
    assert caught.value.option == named


def test_a_call_that_was_refused_for_want_of_a_thread_is_not_made_later(monkeypatch):
    pool, made = PriorityThreadPool(), []

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.submit(made.append, "refused")
    pool.submit(made.append, "taken").result(10)
    pool.shutdown()
    assert made == ["taken"]


def test_what_a_workers_target_sets_in_its_context_no_other_worker_sees(until):
    name, seen = ContextVar("name", default=None), []
    with TaskSupervisor("s", pool_size=1, max_size=1) as supervisor:

        @background_worker(event=True, supervisor=supervisor)
        def first():
            seen.append(name.get())
            name.set("first")

        @background_worker(event=True, supervisor=supervisor)
        def second():
            seen.append(name.get())

        first.start()
        second.start()
        for number, worker in enumerate((first, second, first)):
            worker.trigger_threadsafe()
            until(lambda number=number: len(seen) == number + 1)
    assert seen == [None, None, "first"]


def test_a_worker_that_gets_no_thread_is_not_closed_under_the_lock_of_its_driver(until):
    pool, held = PriorityThreadPool(), []
    driver = PoolDriver(lambda: None, pool, TASK_NORMAL)

    class Watched(Worker):
        def close(self):
            held.append(self.trigger._wake.__self__._lock._is_owned())
            super().close()

    worker = Watched("w", lambda: None, Interval(0.05), driver=driver)
    running = threading.Thread(target=lambda: asyncio.run(worker.run(lambda: None)))
    running.start()
    until(lambda: worker.status().runs > 0)
    pool.close()
    running.join(10)
    assert not running.is_alive()
    assert held
    assert not any(held)  # who closes it elsewhere has its lock, and comes for that of the driver


def test_a_callback_that_exits_as_its_call_is_cancelled_leaves_no_other_waiting():
    pool, go = PriorityThreadPool(PoolSizes(1)), threading.Event()
    began = threading.Event()
    pool.submit(lambda: [began.set(), go.wait(10)])
    assert began.wait(10)
    first, second = pool.submit(int), pool.submit(int)
    first.add_done_callback(lambda _: sys.exit(1))
    with pytest.raises(SystemExit):
        pool.cancel_waiting()
    assert second.cancelled()
    go.set()
    pool.shutdown()
