import asyncio
import math
import os
import threading
import time
import warnings

import pool_bodies as bodies
import pytest

from mainspring import errors
from mainspring.processes.pool import ProcessPool
from mainspring.protocols import Service


def test_it_is_a_service(pool):
    assert isinstance(pool, Service)
    assert pool.name == "processes"


def test_making_a_pool_starts_nothing(no_leaks):
    threads = threading.active_count()
    pool = ProcessPool(2)
    assert threading.active_count() == threads
    assert pool.status().starting == 0


def test_start_twice_is_start_once(pool):
    pool.start()
    pool.start()
    assert pool.call(os.getpid) != os.getpid()
    assert len(pool._supervisor._children) <= 2


def test_a_pool_closed_before_its_start_refuses_calls(no_leaks):
    pool = ProcessPool(1)
    pool.close()
    pool.close()
    assert pool.join(0)
    for ask in (pool.start, lambda: pool.call(os.getpid), lambda: pool.submit(os.getpid)):
        with pytest.raises(errors.NotRunning, match="processes"):
            ask()


def test_nothing_is_left_after_close(no_leaks, until):
    with ProcessPool(2) as pool:
        assert pool.submit(os.getpid).result(10)
        until(lambda: pool.status().ready == 3)
        children = {child.pid for child in pool._supervisor._children}
    assert pool.join(0)
    pool.close()
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_children_that_take_long_to_die_are_reaped_later(no_leaks, until, monkeypatch):
    monkeypatch.setattr("mainspring.processes.child_supervisor._LEAVE_TIMEOUT", 0.0)
    pool = ProcessPool(2)
    pool.start()
    until(lambda: pool.status().ready == 3)
    processes = [child._process for child in pool._supervisor._children]
    pool.close(0)
    assert pool.join(10)
    until(lambda: all(process.returncode is not None for process in processes))


def test_close_while_starting_is_quick(no_leaks, tmp_path):
    pool = ProcessPool(2, initializer=bodies.wait_for, initargs=(str(tmp_path / "never"),))
    pool.start()
    began = time.monotonic()
    pool.close()
    assert pool.join()
    assert time.monotonic() - began < 2


def test_close_right_after_start_twenty_times(no_leaks):
    for _ in range(20):
        pool = ProcessPool(1)
        pool.start()
        pool.close(0)
        assert pool.join()


def test_close_gives_running_and_queued_calls_their_grace(no_leaks, tmp_path, until):
    pool = ProcessPool(1, grace=30)
    running = pool.submit(bodies.mark_and_wait, str(tmp_path / "began"), str(tmp_path / "go"))
    queued = pool.submit(bodies.add, 1, 1)
    until((tmp_path / "began").exists)
    pool.close()
    with pytest.raises(errors.NotRunning):
        pool.call(os.getpid)
    assert not pool.join(0.05)
    (tmp_path / "go").touch()
    assert pool.join()
    assert running.result(0)
    assert queued.result(0) == 2


@pytest.mark.parametrize("grace", [math.inf, 1e8])
def test_close_waits_however_long_the_grace_is(no_leaks, tmp_path, until, grace):
    pool = ProcessPool(1, grace=grace)
    running = pool.submit(bodies.mark_and_wait, str(tmp_path / "began"), str(tmp_path / "go"))
    until((tmp_path / "began").exists)
    pool.close()
    assert not pool.join(0.1)
    (tmp_path / "go").touch()
    assert pool.join()
    assert running.result(0)


def test_close_kills_what_outlasts_the_grace(no_leaks, until):
    pool = ProcessPool(1)
    running = pool.submit(sum, range(10**12))
    queued = pool.submit(os.getpid)
    until(lambda: pool.status().busy == 1)
    began = time.monotonic()
    pool.close(0.1)
    assert pool.join()
    assert time.monotonic() - began < 2
    with pytest.raises(errors.ChildDied, match="on request"):
        running.result(0)
    assert queued.cancelled() or isinstance(queued.exception(0), errors.NotRunning)


def test_a_second_close_may_shorten_the_grace(no_leaks, until):
    pool = ProcessPool(1)
    running = pool.submit(time.sleep, 60)
    until(lambda: pool.status().busy == 1)
    pool.close(60)
    pool.close(0)
    pool.close(60)
    assert pool.join()
    assert isinstance(running.exception(0), errors.ChildDied)


def test_callers_in_threads_are_freed_by_close(no_leaks, until):
    pool = ProcessPool(1)
    raised = []

    def call():
        with pytest.raises((errors.ChildDied, errors.NotRunning)) as caught:
            pool.call(time.sleep, 60)
        raised.append(caught.type)

    callers = [threading.Thread(target=call) for _ in range(5)]
    for caller in callers:
        caller.start()
    until(lambda: pool.status().busy == 1 and pool.status().waiting == 4)
    pool.close(0)
    for caller in callers:
        caller.join(5)
    assert sorted(kind.__name__ for kind in raised) == ["ChildDied"] + ["NotRunning"] * 4


def test_close_from_many_threads_at_once(no_leaks):
    pool = ProcessPool(2)
    pool.start()
    closers = [threading.Thread(target=pool.close) for _ in range(10)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(5)
    assert pool.join()


def test_run_lives_until_closed(no_leaks):
    async def live():
        pool = ProcessPool(1)
        started = []

        def on_start():
            started.append(pool)
            threading.Thread(target=call_and_close, args=(pool, started)).start()

        await asyncio.wait_for(pool.run(on_start), 10)
        assert started == [pool, 2]
        assert pool.join(0)

    def call_and_close(pool, started):
        started.append(pool.call(bodies.add, 1, 1))
        pool.close()

    asyncio.run(live())


def test_run_after_close_says_started_and_returns(no_leaks):
    pool = ProcessPool(1)
    pool.close()
    started = []
    asyncio.run(asyncio.wait_for(pool.run(lambda: started.append(1)), 5))
    assert started == [1]


def test_run_twice_at_once_is_refused(no_leaks):
    async def live():
        pool = ProcessPool(1)
        first = asyncio.create_task(pool.run(lambda: None))
        await asyncio.sleep(0)
        with pytest.raises(errors.AlreadyRunning, match="processes"):
            await pool.run(lambda: None)
        pool.close()
        await first

    asyncio.run(live())


def test_cancelling_run_kills_and_is_not_swallowed(no_leaks, until):
    pool = ProcessPool(1)

    async def live():
        task = asyncio.create_task(pool.run(lambda: None))
        running = pool.submit(time.sleep, 60)
        await asyncio.to_thread(until, lambda: pool.status().busy == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return running

    running = asyncio.run(asyncio.wait_for(live(), 20))
    assert pool.join()
    assert isinstance(running.exception(0), errors.ChildDied)


def test_a_fork_of_the_parent_refuses_calls_and_frees_the_children(make_pool, until):
    pool = make_pool()
    pool.call(os.getpid)
    until(lambda: pool.status().ready == 2)
    pid = fork_quietly()
    if pid == 0:
        try:
            pool.call(os.getpid)
        except errors.NotRunning:
            os._exit(17)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
    assert pool.call(bodies.add, 1, 1) == 2


def test_a_fork_while_the_pool_ends_closes_nobody_elses_files(monkeypatch):
    pool = ProcessPool(1)
    ending, held = threading.Event(), threading.Event()

    def join(_timeout):
        ending.set()
        held.wait(20)

    monkeypatch.setattr(pool._submissions, "join", join)
    pool.call(os.getpid)
    pool.close(0)
    assert ending.wait(20)
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    pid = fork_quietly()
    if pid == 0:
        try:
            for other in others:
                os.fstat(other)
            os._exit(17)
        finally:
            os._exit(1)
    held.set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
    for other in others:
        os.close(other)
    assert pool.join(20)


def fork_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
