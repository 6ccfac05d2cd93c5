import random
import threading
import time
from functools import partial

import pytest

from mainspring import TASK_CRITICAL, TASK_HIGH, TASK_LOW, TASK_NORMAL
from mainspring.errors import NotRunning
from mainspring.supervision.threads import idle_threads
from mainspring.supervision.threads.pool import PriorityThreadPool
from mainspring.supervision.threads.priority import PoolSizes

SOON = 0.05
FAR = 3600.0


class Bench:
    """A pool, what was called in it and when, and calls that stay in it until they are let go."""

    def __init__(self, size):
        self.pool = PriorityThreadPool(PoolSizes(size), name="bench")
        self.let_go = threading.Event()
        self.moments = {}

    def note(self, label):
        """Return a call that notes its moment."""
        return lambda: self.moments.setdefault(label, time.monotonic())

    def at(self, moment, label, priority=TASK_NORMAL):
        self.pool.execute_at(moment, priority, self.note(label))

    def block(self, until):
        """Occupy one thread."""
        held = threading.Event()

        def hold():
            held.set()
            self.let_go.wait(20)

        self.pool.execute(TASK_NORMAL, hold)
        until(held.is_set)


@pytest.fixture
def make_bench():
    made = []

    def make(size):
        made.append(Bench(size))
        return made[-1]

    yield make
    for bench in made:
        bench.let_go.set()
        bench.pool.shutdown()


def test_a_call_is_made_at_its_moment_and_never_before(make_bench, until):
    bench, now = make_bench(2), time.monotonic()
    asked = {label: now + label / 200 for label in (9, 3, 6)}
    for label, moment in asked.items():
        bench.at(moment, label)
    until(lambda: len(bench.moments) == len(asked))
    assert list(bench.moments) == [3, 6, 9]
    assert all(bench.moments[label] >= moment for label, moment in asked.items())


def test_of_one_moment_the_most_urgent_is_made_first(make_bench, until):
    bench, moment = make_bench(1), time.monotonic() + SOON
    for priority in (TASK_LOW, TASK_HIGH, TASK_NORMAL):
        bench.at(moment, priority, priority)
    until(lambda: len(bench.moments) == 3)
    assert list(bench.moments) == [TASK_HIGH, TASK_NORMAL, TASK_LOW]


def test_a_moment_before_the_first_is_not_slept_through(make_bench, until):
    bench = make_bench(2)
    bench.at(time.monotonic() + FAR, "far")
    until(lambda: bench.pool.status().busy == 0)
    bench.at(time.monotonic() + SOON, "near")
    until(lambda: "near" in bench.moments)
    assert "far" not in bench.moments


def test_a_call_that_is_forgotten_is_not_made(make_bench, until):
    bench, moment = make_bench(1), time.monotonic() + SOON
    forgotten = bench.note("forgotten")
    bench.pool.execute_at(moment, TASK_NORMAL, forgotten)
    bench.pool.forget(moment, forgotten)
    bench.at(moment + SOON, "after")
    until(lambda: "after" in bench.moments)
    assert "forgotten" not in bench.moments


def test_calls_that_block_take_the_leader_away_and_another_takes_its_place(make_bench, until):
    bench = make_bench(4)
    bench.at(time.monotonic() + 4 * SOON, "in time")
    for _ in range(3):
        bench.block(until)
    until(lambda: "in time" in bench.moments)
    assert bench.pool.status().busy == 3


def test_an_idle_leader_takes_a_call_before_a_thread_is_started(make_bench, until):
    bench = make_bench(10)
    bench.at(time.monotonic() + FAR, "far")
    for number in range(20):
        until(lambda: bench.pool.status().busy == 0)
        bench.pool.submit(bench.note(number)).result(10)
    assert bench.pool.status().threads <= 3


def test_a_moment_set_by_a_call_that_then_blocks_is_kept(make_bench, until):
    bench = make_bench(2)

    def set_and_block():
        bench.at(time.monotonic() + SOON, "kept")
        bench.let_go.wait(20)

    bench.pool.execute(TASK_NORMAL, set_and_block)
    until(lambda: "kept" in bench.moments)


def test_in_a_full_pool_a_call_waits_for_its_turn_unless_it_is_critical(make_bench, until):
    bench = make_bench(1)
    bench.block(until)
    bench.at(time.monotonic() + SOON, "normal")
    bench.at(time.monotonic() + 2 * SOON, "critical", TASK_CRITICAL)
    until(lambda: "critical" in bench.moments)
    assert "normal" not in bench.moments
    assert bench.pool.status().queued == {"normal": 1}
    bench.let_go.set()
    until(lambda: "normal" in bench.moments)


def test_a_closed_pool_makes_what_is_on_its_timers_at_once_and_takes_no_more(make_bench, until):
    bench = make_bench(1)
    bench.at(time.monotonic() + FAR, "far")
    bench.pool.shutdown()
    assert "far" in bench.moments
    with pytest.raises(NotRunning):
        bench.at(time.monotonic(), "late")


def test_while_the_leader_sleeps_the_other_idle_threads_end(make_bench, until, monkeypatch):
    monkeypatch.setattr(idle_threads, "IDLE_LIFE", 0.02)
    bench = make_bench(3)
    bench.at(time.monotonic() + FAR, "far")
    for _ in range(3):
        bench.block(until)
    bench.let_go.set()
    until(lambda: bench.pool.status().threads == 1)
    assert bench.pool.status().busy == 0


def test_idle_threads_that_are_kept_stay(until, monkeypatch):
    monkeypatch.setattr(idle_threads, "IDLE_LIFE", 0.01)
    pool = PriorityThreadPool(PoolSizes(4, keep=2))
    barrier = threading.Barrier(5)
    for _ in range(4):
        pool.submit(barrier.wait, 20)
    barrier.wait(20)
    until(lambda: pool.status().threads == 2)
    # As long as several idle lives.
    assert pool.submit(time.sleep, 0.05).result(10) is None
    assert pool.status().threads == 2
    pool.shutdown()


def test_a_hundred_calls_of_one_moment_do_not_wake_every_thread(make_bench, until):
    bench = make_bench(10)
    for _ in range(10):
        bench.block(until)
    bench.let_go.set()
    until(lambda: bench.pool.status().busy == 0)
    threads, moment = set(), time.monotonic() + SOON

    def call(number):
        threads.add(threading.current_thread())
        bench.moments[number] = time.monotonic()

    for number in range(100):
        bench.pool.execute_at(moment, TASK_NORMAL, partial(call, number))
    until(lambda: len(bench.moments) == 100)
    assert len(threads) < 10


def test_at_random_every_call_is_made_once_and_none_too_early(make_bench, until):
    bench, asked, made = make_bench(3), [], []

    def ask(seed):
        chance = random.Random(seed)
        for _ in range(300):
            moment = time.monotonic() + chance.choice((0.0, 0.001, chance.random() * SOON))
            asked.append(moment)
            bench.pool.execute_at(moment, TASK_NORMAL, lambda due=moment: note(due))
            if chance.random() < 0.3:
                asked.append(0.0)
                bench.pool.execute(chance.choice((TASK_LOW, TASK_HIGH)), lambda: note(0.0))
            time.sleep(chance.choice((0.0, 0.0, 0.001)))

    def note(due):
        made.append((due, time.monotonic()))

    asking = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    until(lambda: len(made) >= len(asked))
    assert sorted(due for due, _ in made) == sorted(asked)
    assert all(due <= moment for due, moment in made)
