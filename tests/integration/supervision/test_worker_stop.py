"""The stop of a background worker."""

import asyncio
import threading
import time

import pytest

from mainspring import BackgroundQueueWorker, background_worker


def test_stop_from_inside_the_target_does_not_deadlock(make, of_kind, feed, until):
    worker = make(lambda *a, **k: worker.stop() and None, **of_kind)
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    assert worker.status().runs == 1


def test_supervisor_stop_from_inside_the_target_does_not_deadlock(
    make, of_kind, feed, until, supervisor
):
    worker = make(lambda *a, **k: supervisor.stop() and None, **of_kind)
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    until(lambda: not supervisor.active)


def test_stop_waits_for_the_run_under_way(make, of_kind, feed, until):
    began, ended = [], []

    def work(*args, **kwargs):
        began.append(1)
        time.sleep(0.05)
        ended.append(1)

    worker = make(work, **of_kind)
    worker.start()
    feed(worker)
    until(lambda: began)
    assert worker.stop()
    assert len(began) == len(ended)


def test_stop_with_a_limit_returns_in_time_and_says_what_is_stuck(
    make, of_kind, feed, until, caplog
):
    release, began = threading.Event(), []

    def hang(*args, **kwargs):
        began.append(1)
        release.wait(20)

    worker = make(hang, **of_kind, name="stuck one")
    worker.start()
    feed(worker)
    until(lambda: began)
    since = time.monotonic()
    assert worker.stop(wait=0.05) is False
    assert time.monotonic() - since < 2
    assert "'stuck one' has not ended" in caplog.text
    assert not worker.stop(wait=False)
    release.set()
    until(worker.is_stopped)


@pytest.mark.parametrize("astop", [False, True])
def test_stop_with_a_limit_says_where_it_is_stuck(make, of_kind, feed, until, caplog, astop):
    began, release = threading.Event(), threading.Event()

    def the_place_where_it_is_stuck(*args, **kwargs):
        began.set()
        release.wait(30)

    worker = make(the_place_where_it_is_stuck, name="w", **of_kind)
    worker.start()
    feed(worker)
    assert began.wait(10)
    assert not (asyncio.run(worker.astop(0.05)) if astop else worker.stop(0.05))
    assert "worker 'w' has not ended after 0.05 s" in caplog.text
    assert "in the_place_where_it_is_stuck" in caplog.text
    release.set()
    assert worker.stop()


def test_stop_with_a_limit_says_what_a_coroutine_awaits(supervisor, until, caplog):
    began, release = [], []

    async def the_place_where_it_is_stuck():
        began.append(1)
        while not release:
            await asyncio.sleep(0.01)

    async def target():
        await the_place_where_it_is_stuck()

    worker = background_worker(supervisor=supervisor)(target)
    worker.start()
    until(lambda: began)
    assert not worker.stop(0.05)
    assert "in the_place_where_it_is_stuck" in caplog.text
    release.append(1)
    assert worker.stop()


def test_no_run_begins_after_stop(make, of_kind, feed, supervisor):
    over, late = set(), []
    worker = make(lambda *a, life, **k: late.append(life in over), **of_kind)
    for life in range(20):
        worker.start(life=life)
        feed(worker)
        worker.stop()
        over.add(life)
    supervisor.stop()  # nothing is left that might run it
    assert not any(late)


def test_a_run_that_the_supervisor_cancels_is_not_said_to_go_on(supervisor, until, caplog):
    began = []

    async def target():
        began.append(1)
        await asyncio.sleep(60)

    worker = background_worker(supervisor=supervisor)(target)
    worker.start()
    until(lambda: began)
    supervisor.stop(0.1)
    assert worker.is_stopped()
    assert "it goes on" not in caplog.text


def test_stop_during_a_long_sleep_returns_at_once(make, kind, until):
    worker = make(lambda *a, **k: None, interval=3600)
    worker.start()
    until(lambda: worker.status().runs == 1)
    since = time.monotonic()
    worker.stop()
    assert time.monotonic() - since < 1


def test_stop_without_waiting_returns_at_once_from_a_run_that_is_stuck(make, of_kind, feed, until):
    release, began = threading.Event(), threading.Event()

    def hang(*args, **kwargs):
        began.set()
        release.wait(20)

    worker = make(hang, **of_kind)
    worker.start()
    feed(worker)
    assert began.wait(10)
    since = time.monotonic()
    assert worker.stop(wait=False) is False
    assert time.monotonic() - since < 2
    assert not worker.is_active()
    assert worker.is_started()
    release.set()
    until(worker.is_stopped)


@pytest.mark.parametrize(
    "pace",
    [{"interval": 3600}, {"delay": 3600}, {"delay_before": 3600}, {"cron": "0 0 1 1 *"}],
    ids=["interval", "delay", "delay_before", "cron"],
)
def test_stop_in_the_middle_of_a_long_pause_returns_at_once(make, until, pace):
    worker = make(lambda **k: None, **pace)
    worker.start()
    until(lambda: worker.status().state == "idle")
    since = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - since < 1


@pytest.mark.parametrize("kind", ["continuous", "interval"])
def test_stop_from_on_error_does_not_deadlock(make, of_kind, until):
    stopped = []

    def give_up(worker):
        worker.stop()
        stopped.append(worker)

    worker = make(fail, **of_kind, on_error=give_up)
    worker.start()
    until(lambda: stopped)
    until(worker.is_stopped)
    assert worker.status().runs == 1


def fail():
    raise ValueError("no")


@pytest.mark.parametrize("hook", ["before_queue_get", "after_queue_get", "process_result"])
def test_stop_from_a_hook_around_the_target_does_not_deadlock(supervisor, hook, until):
    stopped = []

    class Stopping(BackgroundQueueWorker):
        def run(self, item):
            pass

    def stop(self, *args):
        self.stop()
        stopped.append(args)

    setattr(Stopping, hook, stop)
    worker = Stopping(supervisor=supervisor)
    worker.start()
    worker.put_threadsafe("item")
    until(lambda: stopped)
    until(worker.is_stopped)
