"""The stop of a task supervisor."""

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import Future

import pytest

from mainspring import BackgroundIntervalWorker, TaskSupervisor, background_worker
from mainspring.errors import NotRunning
from mainspring.model import events


def test_nothing_of_ours_outlives_a_stop(supervisor, until):
    before = set(threading.enumerate())

    async def target():
        pass

    supervisor.create_aloop("io")
    for number in range(5):
        options = {"supervisor": supervisor, "name": f"w{number}"}
        background_worker(interval=0.001, **options)(lambda: None).start()
        background_worker(interval=0.001, supervisor=supervisor, name=f"a{number}")(target).start()
    supervisor.spawn(time.sleep, 0.01)
    assert supervisor.stop()
    assert set(threading.enumerate()) == before


def test_workers_stop_last_started_first_and_loops_after_them(supervisor):
    diary = []

    def note(event):
        if isinstance(event, events.ServiceStopped):
            diary.append(event.service)

    async def target():
        pass

    supervisor.subscribe(note)
    supervisor.create_aloop("io")
    for name in ("first", "second"):
        background_worker(interval=60, name=name, loop="io", supervisor=supervisor)(target).start()
    supervisor.stop()
    assert diary.index("second") < diary.index("io")
    assert diary.index("first") < diary.index("io")


def test_a_stop_ends_workers_and_jobs_then_loops_then_pools(supervisor, until):
    diary, ran = [], []

    def note(event):
        if isinstance(event, events.ServiceStopped):
            diary.append(event.service)

    supervisor.subscribe(note)
    supervisor.create_aloop("io")
    supervisor.create_async_job_scheduler("jobs")
    job = supervisor.create_async_job(lambda: ran.append(1), interval=60)
    worker = background_worker(interval=60, name="w", supervisor=supervisor)
    worker(lambda: ran.append(1)).start()
    until(lambda: len(ran) == 2)
    supervisor.stop()
    pool = supervisor.threads.name
    assert sorted(diary[:2]) == sorted(["w", job.name])
    assert [one for one in diary[2:] if one in ("io", pool)] == ["io", pool]


def test_workers_are_asked_to_stop_the_last_started_first(supervisor):
    diary = []

    class Diarist(BackgroundIntervalWorker):
        def before_stop(self):
            diary.append(self.name)

        def run(self, **kwargs):
            pass

    for name in ("first", "second", "third"):
        Diarist(name, interval=60, supervisor=supervisor).start()
    supervisor.stop()
    assert diary == ["third", "second", "first"]


def test_stop_with_a_limit_cancels_stuck_coroutines(supervisor):
    supervisor.start()
    future = supervisor.background_task(asyncio.sleep(3600))
    since = time.monotonic()
    assert supervisor.stop(wait=0.2)
    assert time.monotonic() - since < 2
    assert future.cancelled()


def test_stop_without_waiting_returns_at_once(supervisor, until):
    supervisor.start()
    supervisor.spawn(time.sleep, 0.2)
    since = time.monotonic()
    supervisor.stop(wait=False)
    assert time.monotonic() - since < 0.1
    assert not supervisor.active


def test_cancelling_tasks_does_not_wait_for_them(supervisor, until):
    supervisor.set_thread_pool(pool_size=1)
    supervisor.start()
    release, began = threading.Event(), threading.Event()

    def hold():
        began.set()
        release.wait(10)

    supervisor.spawn(hold)
    began.wait(10)
    waiting = supervisor.spawn(print)
    coroutine = supervisor.background_task(asyncio.sleep(3600))
    threading.Timer(0.05, release.set).start()
    since = time.monotonic()
    supervisor.stop(cancel_tasks=True)
    assert time.monotonic() - since < 3
    assert waiting.cancelled()
    assert coroutine.cancelled()


def test_a_thread_stuck_in_user_code_is_named_and_left(supervisor, caplog, until):
    release = threading.Event()
    worker = background_worker(name="stuck one", supervisor=supervisor)(release.wait)
    worker.start()
    until(lambda: worker.status().state == "running")
    since = time.monotonic()
    supervisor.stop(wait=0.1)
    assert time.monotonic() - since < 3
    release.set()
    assert "stuck one" in caplog.text


def test_what_runs_while_it_stops_may_use_its_pools_and_does_not_start_it_again(supervisor):
    got, begun = [], threading.Event()

    @background_worker(supervisor=supervisor)
    def work():
        begun.set()
        while supervisor.active:
            time.sleep(0.001)
        got.append(supervisor.start())
        got.append(supervisor.spawn(divmod, 7, 2).result(5))

    work.start()
    begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert got == [False, (3, 1)]
    assert not supervisor.active


def test_a_worker_can_not_be_started_by_what_runs_while_its_supervisor_stops(supervisor):
    got, begun = [], threading.Event()
    late = background_worker(interval=60, supervisor=supervisor, name="late")(lambda: None)

    @background_worker(supervisor=supervisor)
    def work():
        begun.set()
        while supervisor.active:
            time.sleep(0.001)
        with pytest.raises(NotRunning) as caught:
            late.start()
        got.append(caught.value)

    def let_in():
        work.start()
        begun.wait(5)
        return supervisor.stop()

    assert let_in()
    assert got
    assert not late.is_started()
    assert not supervisor.active


def test_no_worker_is_started_from_the_moment_at_which_a_stop_can_be_seen(supervisor, monkeypatch):
    late = background_worker(interval=60, supervisor=supervisor)(lambda: None)
    supervisor.start()
    core, refused = supervisor.running_pools.core, []
    close = core.close

    def close_late(grace):
        with pytest.raises(NotRunning):
            late.start()
        refused.append(True)
        close(grace)

    monkeypatch.setattr(core, "close", close_late)
    assert supervisor.stop()
    assert refused


def test_stop_from_a_coroutine_of_its_own_only_asks(supervisor, until):
    runs = []

    @background_worker(supervisor=supervisor)
    async def work():
        runs.append(await supervisor.astop())

    since = time.monotonic()
    work.start()
    until(lambda: runs)
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert runs == [False]


def test_stop_on_the_callers_own_loop_does_not_hold_up_the_worker_there(supervisor, until):
    async def main():
        runs = []

        @background_worker(supervisor=supervisor, loop=asyncio.get_running_loop())
        async def work():
            runs.append(1)
            await asyncio.sleep(0.001)

        work.start()
        while not runs:
            await asyncio.sleep(0.001)
        since = time.monotonic()
        assert not supervisor.stop()
        assert time.monotonic() - since < 1
        while not work.is_stopped():
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 10))
    until(supervisor.stop)


def test_a_stop_with_a_limit_ends_soon_after_it_whatever_is_stuck(supervisor, until):
    go_on, begun = threading.Event(), []

    def stuck():
        begun.append(1)
        go_on.wait(30)

    async def waiting():
        begun.append(1)
        await asyncio.sleep(30)

    async def blocking():
        stuck()

    supervisor.create_aloop("io")
    background_worker(supervisor=supervisor, name="thread")(stuck).start()
    background_worker(supervisor=supervisor, name="pool", interval=60)(stuck).start()
    background_worker(supervisor=supervisor, name="coroutine")(waiting).start()
    background_worker(supervisor=supervisor, name="loop", loop="io")(blocking).start()
    supervisor.spawn(stuck)
    until(lambda: len(begun) == 5)
    since = time.monotonic()
    assert supervisor.stop(wait=0.3)
    assert 0.3 <= time.monotonic() - since < 3
    assert not supervisor.active
    go_on.set()


@pytest.mark.parametrize("waiting", [True, False])
def test_stop_from_a_signal_handler_stops_it(supervisor, until, waiting):
    stopped = []

    def stop(*_):
        stopped.append(supervisor.stop(waiting))

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        workers = [
            background_worker(interval=0.001, supervisor=supervisor, name=name)(lambda: None)
            for name in "abc"
        ]
        for worker in workers:
            worker.start()
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: stopped)
        until(lambda: all(worker.is_stopped() for worker in workers))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not supervisor.active


@pytest.mark.parametrize("way", ["spawn", "a coroutine", "a thread of a target"])
def test_stop_from_what_it_waits_for_only_asks(supervisor, until, way):
    if way == "spawn":
        supervisor.set_thread_pool(pool_size=1)
        answer = supervisor.spawn(supervisor.stop)
    elif way == "a coroutine":

        async def stop():
            return supervisor.stop()

        answer = supervisor.background_task(stop())
    else:
        answer = Future()

        async def target():
            answer.set_result(await asyncio.to_thread(supervisor.stop))

        background_worker(interval=60, supervisor=supervisor)(target).start()
    assert answer.result(10) is False
    until(lambda: not supervisor.running_pools.core.running)


@pytest.fixture
def full_pool():
    """A supervisor whose one thread is busy, and the event that lets it go."""
    supervisor = TaskSupervisor("full", grace=25.0, pool_size=1, max_size=1)
    began, go = threading.Event(), threading.Event()

    def block():
        began.set()
        go.wait(20)

    supervisor.spawn(block)
    assert began.wait(10)
    yield supervisor, go
    go.set()
    supervisor.stop()


def test_a_stop_does_not_wait_for_a_run_that_has_got_no_thread_yet(full_pool):
    supervisor, _ = full_pool
    ran = []
    worker = background_worker(event=True, name="w", supervisor=supervisor)(lambda: ran.append(1))
    worker.start()
    worker.trigger_threadsafe()
    assert worker.stop(wait=10)
    assert ran == []
    worker.start()
    assert worker.stop(wait=10)


def test_a_worker_whose_run_waits_for_a_thread_holds_up_no_stop_that_cancels(full_pool, until):
    supervisor, go = full_pool
    ended = []
    worker = background_worker(event=True, name="waits", supervisor=supervisor)(lambda: None)
    worker.start()
    worker.trigger_threadsafe()
    stop = threading.Thread(target=lambda: ended.append(supervisor.stop(cancel_tasks=True)))
    stop.start()
    until(lambda: not supervisor.active)
    go.set()
    stop.join(10)
    assert ended == [True]
