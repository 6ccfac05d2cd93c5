"""Hooks and subscribers of the user's that ask for an exit: it harms nothing but themselves."""

import asyncio
import threading

import pytest

from mainspring import (
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    Restart,
    background_task,
    background_worker,
    wait_completed,
)

EXITS = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]


def leave(error):
    def hook(*_, **__):
        raise error

    return hook


@pytest.fixture
def goes_on(supervisor, until):
    """Check that workers, tasks and the stop of a supervisor work as before."""

    def check():
        ran = threading.Event()
        other = background_worker(interval=0.01, supervisor=supervisor)(lambda **_: ran.set())
        assert other.start()
        assert ran.wait(10)
        assert supervisor.spawn(int, "5").result(10) == 5
        assert supervisor.health()["active"]
        assert other.stop()
        assert supervisor.stop()

    return check


@pytest.mark.parametrize("error", EXITS)
@pytest.mark.parametrize("hook", ["before_stop", "send_stop_events", "after_stop"])
def test_a_hook_of_the_end_that_exits(supervisor, until, goes_on, hook, error):
    worker = type(
        "Exiting",
        (BackgroundIntervalWorker,),
        {"run": lambda self, **_: False, hook: leave(error)},
    )(interval=60, supervisor=supervisor)
    worker.start()
    until(worker.is_stopped)
    assert worker._worker_run.finished.result(10) is None
    assert worker not in supervisor.workers.active()
    goes_on()


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("hook", ["before_start", "after_start"])
def test_a_hook_of_the_start_that_exits_fails_the_start(supervisor, until, goes_on, hook, error):
    worker = type(
        "Exiting",
        (BackgroundIntervalWorker,),
        {"run": lambda self, **_: None, hook: leave(error)},
    )(interval=60, supervisor=supervisor)
    with pytest.raises(error):
        worker.start()
    until(lambda: not worker.is_started())
    assert worker not in supervisor.workers.active()
    goes_on()


@pytest.mark.parametrize("error", EXITS)
def test_an_on_worker_failed_that_exits(supervisor, until, goes_on, error):
    told = []

    def tell(*what):
        told.append(what)
        raise error

    supervisor.on_worker_failed = tell
    worker = background_worker(
        interval=0.01, restart=Restart(max_failures=0), supervisor=supervisor
    )(leave(ValueError))
    worker.start()
    until(lambda: told)
    assert worker.status().state == "failed"
    goes_on()


@pytest.mark.parametrize("error", EXITS)
@pytest.mark.parametrize("hook", ["before_queue_get", "after_queue_get"])
def test_a_hook_around_an_item_that_exits_loses_no_future(supervisor, until, goes_on, hook, error):
    worker = type(
        "Exiting",
        (BackgroundQueueWorker,),
        {"run": lambda self, task, **_: task, hook: leave(error)},
    )(supervisor=supervisor)
    worker.start()
    future = worker.put_threadsafe(1)
    until(future.done)
    goes_on()


@pytest.mark.parametrize("error", EXITS)
def test_a_callback_of_an_items_future_that_exits_does_not_end_the_worker(
    supervisor, until, goes_on, error
):
    gate = threading.Event()

    def run(task, **_):
        gate.wait(10)
        return task

    worker = background_worker(queue=True, supervisor=supervisor)(run)
    worker.start()
    worker.put_threadsafe(1).add_done_callback(leave(error))
    second = worker.put_threadsafe(2)
    gate.set()
    assert second.result(10) == 2
    assert worker.is_active()
    goes_on()


@pytest.mark.parametrize("error", EXITS)
def test_a_callback_of_a_task_that_exits_costs_no_thread_of_the_pool(supervisor, goes_on, error):
    supervisor.set_thread_pool(pool_size=1)
    start = background_task(int, callback=leave(error), supervisor=supervisor)
    assert [wait_completed(start(number), 10) for number in range(5)] == [0, 1, 2, 3, 4]
    goes_on()


@pytest.mark.parametrize("error", EXITS)
def test_a_scheduler_whose_stop_exits_keeps_no_other_from_stopping(supervisor, error):
    stopped = []

    class Scheduler:
        def __init__(self, stop):
            self.stop = stop

    supervisor.register_sync_scheduler(Scheduler(lambda: stopped.append(1)))
    supervisor.register_sync_scheduler(Scheduler(leave(error)))
    supervisor.start()
    assert supervisor.stop()
    assert stopped == [1]
