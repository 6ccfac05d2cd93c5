"""Workers whose target runs in another process."""

import functools
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mainspring import (
    BackgroundIntervalWorker,
    Restart,
    background_task,
    background_worker,
    co_mp_apply,
    task_supervisor,
    wait_completed,
)
from mainspring.errors import (
    ChildDied,
    InvalidArguments,
    InvalidOption,
    NotRunning,
    TaskNotImportable,
)

sys.path.insert(0, str(Path(__file__).parent))

import targets


@pytest.fixture
def doubler(supervisor):
    supervisor.set_mp_pool(pool_size=1)
    targets.Doubler.results.clear()
    targets.Doubler.verdict = None
    errors = []

    def on_error(error):
        errors.append(error)

    worker = targets.Doubler(supervisor=supervisor, on_error=on_error)
    worker.errors = errors
    worker.start()
    return worker


def test_a_static_run_goes_to_a_process_and_its_result_comes_back(doubler, until):
    doubled, pid, task_id, has_worker = doubler.put_threadsafe(21).result(30)
    assert doubled == 42
    assert pid != os.getpid()
    assert task_id
    assert not has_worker
    assert doubler.results == [(42, pid, task_id, False)]


def test_a_child_that_raises_or_dies_reports_and_frees_its_place(doubler, until):
    with pytest.raises(OSError, match="no such task"):
        doubler.put_threadsafe("raise").result(30)
    with pytest.raises(Exception):  # noqa: B017, PT011  whatever the pool says of a dead child
        doubler.put_threadsafe("die").result(30)
    assert doubler.put_threadsafe(1).result(30)[0] == 2
    assert len(doubler.errors) == 2
    assert doubler.status().errors == 2


KINDS = {
    "continuous": (targets.AloneForEver, {}),
    "queue": (targets.AloneForItems, {}),
    "event": (targets.AloneOnEvents, {}),
    "interval": (targets.AloneByInterval, {"interval": 0.001}),
}


@pytest.fixture(params=list(KINDS))
def alone(request, supervisor):
    """A worker of each kind whose run fails beside another run, and what sets it going."""
    supervisor.set_mp_pool(pool_size=2)
    kind, options = KINDS[request.param]
    worker = kind(supervisor=supervisor, **options).take_up()

    def push():
        if request.param == "queue":
            worker.put_threadsafe(1)
        elif request.param != "continuous":
            worker.trigger_threadsafe(force=True)

    return worker, push


def test_a_target_in_a_process_never_runs_twice_at_once(alone, tmp_path, until):
    worker, push = alone
    worker.start(str(tmp_path / "busy"))

    def ran_often():
        push()
        return len(worker.seen) >= 20

    until(ran_often, 30)
    worker.stop()
    assert worker.status().errors == 0
    assert set(worker.seen) == {"alone"}


@pytest.mark.parametrize("times", [50, pytest.param(200, marks=pytest.mark.long)])
def test_false_on_the_very_first_run_in_a_process_never_deadlocks_the_start(
    alone, tmp_path, until, times
):
    worker, push = alone
    worker.take_up(verdict=False)
    for number in range(1, times + 1):
        assert worker.start(str(tmp_path / "busy"))
        with suppress(NotRunning):
            push()
        until(worker.is_stopped, 30)
        assert worker.seen == ["alone"] * number


def test_a_continuous_target_that_always_fails_in_a_process_does_not_spin(supervisor, until):
    supervisor.set_mp_pool(pool_size=1)
    worker = targets.FailingForEver(supervisor=supervisor)
    worker.start()
    until(lambda: worker.status().errors >= 3, 30)
    began = worker.status().errors
    deadline = time.monotonic() + 0.3
    until(lambda: time.monotonic() > deadline)
    assert worker.status().errors - began <= 3


@pytest.mark.parametrize("with_on_error", [False, True])
def test_a_target_that_raises_in_a_process_is_logged_and_counted_and_goes_on(
    supervisor, until, caplog, with_on_error
):
    supervisor.set_mp_pool(pool_size=1)
    told = []

    def on_error(error):
        told.append(error)

    options = {"on_error": on_error} if with_on_error else {}
    worker = targets.Failing(interval=0.01, supervisor=supervisor, **options)
    worker.start()
    until(lambda: worker.status().errors >= 3, 30)
    assert worker.is_active()
    worker.stop()
    assert "no sensor" in caplog.text
    assert "Traceback" in caplog.text
    assert len(told) == (worker.status().errors if with_on_error else 0)


def test_a_target_that_fails_too_often_in_a_process_ends_its_worker(supervisor, until):
    supervisor.set_mp_pool(pool_size=1)
    restart = Restart(max_failures=2, within=30)
    worker = targets.Failing(interval=0.01, restart=restart, supervisor=supervisor)
    worker.start()
    until(worker.is_stopped, 30)
    assert worker.status().state == "failed"
    assert worker.status().errors == 3


def test_an_argument_that_can_not_be_pickled_is_an_error(doubler):
    with pytest.raises(InvalidArguments, match="argument 'task' of .*can't be pickled"):
        doubler.put_threadsafe(lambda: None).result(30)
    assert doubler.put_threadsafe(1).result(30)[0] == 2


def test_an_argument_of_a_decorated_function_that_can_not_be_pickled_is_named(supervisor):
    worker = targets.square
    worker._worker_options = replace(worker._worker_options, supervisor=supervisor)
    worker.start()
    with pytest.raises(InvalidArguments, match="argument 'number' of square can't be pickled"):
        worker.put_threadsafe(lambda: None).result(30)
    worker.stop()


def test_a_decorated_function_whose_child_dies_is_named(supervisor, until):
    errors = []
    worker = targets.leave
    on_error = lambda error: errors.append(error)  # noqa: E731, PLW0108  it must declare `error`
    worker._worker_options = replace(
        worker._worker_options, supervisor=supervisor, on_error=on_error
    )
    worker.start()
    with pytest.raises(ChildDied, match="'leave'"):
        worker.put_threadsafe(1).result(30)
    until(lambda: errors)
    assert worker.stop()


@pytest.mark.parametrize("options", [{}, {"interval": 0.01}, {"q": True}, {"e": True}])
@pytest.mark.parametrize("target", [lambda **_: None, functools.partial(lambda: None)])
def test_a_target_that_a_process_could_not_find_fails_the_start(supervisor, options, target):
    worker = background_worker(executor="process", supervisor=supervisor, **options)(target)
    with pytest.raises(TaskNotImportable):
        worker.start()
    assert not worker.is_started()


@pytest.mark.parametrize("target", [os.getppid, functools.partial(os.getppid)])
def test_a_function_that_pickles_needs_no_decorator_to_run_in_a_process(supervisor, until, target):
    seen = []

    class Watching(BackgroundIntervalWorker):
        def process_result(self, result):
            seen.append(result)

    worker = Watching("w", target, interval=0.01, executor="process", supervisor=supervisor)
    worker.start()
    until(lambda: seen, 30)
    assert worker.stop()
    assert seen[0] == os.getpid()


def test_process_result_ends_the_worker_with_false(doubler, until):
    targets.Doubler.verdict = False
    doubler.put_threadsafe(1)
    until(doubler.is_stopped, 30)


def test_a_decorated_function_can_run_in_a_process(supervisor):
    worker = targets.square
    worker._worker_options = replace(worker._worker_options, supervisor=supervisor)
    worker.start()
    squared, pid, name, task_id = worker.put_threadsafe(7).result(30)
    assert (squared, name) == (49, "square")
    assert pid != os.getpid()
    assert task_id
    worker.stop()


def test_an_async_target_is_not_for_processes():
    async def target():
        pass

    with pytest.raises(InvalidOption, match="executor"):
        background_worker(interval=1, executor="process")(target)


def test_a_task_in_a_process(supervisor):
    task = background_task(os.getpid, tt="process", supervisor=supervisor)()
    assert wait_completed(task, timeout=30) != os.getpid()


def test_a_call_in_a_process_from_a_coroutine(supervisor):
    async def live():
        return await co_mp_apply(divmod, args=(7, 2), supervisor=supervisor)

    assert supervisor.background_task(live()).result(30) == (3, 1)


def test_stop_of_a_run_in_a_process_keeps_to_its_limit_and_waits_without_one(
    supervisor, tmp_path, until, caplog
):
    worker = targets.Waiting("w", interval=60, supervisor=supervisor)
    assert worker.start(str(tmp_path))
    assert not worker.start(str(tmp_path))
    until((tmp_path / "began").exists, 30)
    since = time.monotonic()
    assert not worker.stop(wait=False)
    assert not worker.stop(0.05)
    assert time.monotonic() - since < 2
    assert "worker 'w' has not ended after 0.05 s" in caplog.text
    threading.Timer(0.05, (tmp_path / "go").touch).start()
    assert worker.stop()
    assert worker.status().runs == 1


def test_a_worker_in_a_process_restarts_with_other_arguments(alone, tmp_path, until):
    worker, push = alone
    worker.start(str(tmp_path / "first" / "busy"))  # there is no such folder

    def failed():
        push()
        return worker.status().errors

    def ran():
        push()
        return worker.seen

    until(failed, 30)
    assert worker.restart(str(tmp_path / "busy"))
    until(ran, 30)
    assert worker.stop()
    assert worker.status().errors == 0


def test_children_hear_of_a_stop_before_workers_take_their_time_for_it(supervisor, until, tmp_path):
    supervisor.set_mp_pool(pool_size=1)
    began, told, seen = tmp_path / "began", tmp_path / "told", []

    class Slow(BackgroundIntervalWorker):
        def run(self, **_):
            pass

        def send_stop_events(self):
            deadline = time.monotonic() + 5
            while not told.exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            seen.append(told.exists())

    Slow(interval=0.01, supervisor=supervisor).start()
    call = supervisor.mp_pool.submit(targets.mark_when_told_to_stop, str(began), str(told))
    until(began.exists, 30)
    supervisor.stop()
    assert call.result(0) is None
    assert seen == [True]


def test_a_decorated_function_is_a_task_in_a_child_process():
    try:
        result, pid = wait_completed(targets.thrice(7), timeout=30)
    finally:
        task_supervisor.stop()
    assert result == 21
    assert pid != os.getpid()
