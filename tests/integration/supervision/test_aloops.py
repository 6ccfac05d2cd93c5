"""The named event loops of a task supervisor."""

import asyncio
import threading

import pytest

from mainspring import background_worker
from mainspring.errors import DuplicateName, NotRunning


def test_loops_by_name(supervisor):
    aloop = supervisor.create_aloop("io", default=True, daemon=True)

    async def where():
        return threading.current_thread().name

    assert aloop.run_coroutine_threadsafe(where()) == "supervisor_aloop_io"
    assert aloop.spawn_coroutine_threadsafe(where()).result(10) == "supervisor_aloop_io"
    assert aloop.run(where()) == "supervisor_aloop_io"
    assert supervisor.background_task(where()).result(10) == "supervisor_aloop_io"
    assert supervisor.get_aloop() is aloop
    assert supervisor.get_loop() is aloop.get_loop()
    with pytest.raises(DuplicateName):
        supervisor.create_aloop("io")
    assert supervisor.stop_aloop("io")
    with pytest.raises(NotRunning):
        aloop.spawn_coroutine_threadsafe(where())
    assert supervisor.start_aloop("io")
    assert not supervisor.start_aloop("io")
    assert aloop.run(where()) == "supervisor_aloop_io"
    supervisor.set_default_aloop(None)
    assert supervisor.background_task(where()).result(10) == "test_loop"


def test_a_loop_that_waits_for_itself_is_told_so(supervisor):
    aloop = supervisor.create_aloop("io")

    async def wait_for_myself():
        return aloop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="wait for itself"):
        aloop.run(wait_for_myself())


def test_aloops_come_back_with_the_supervisor(supervisor):
    aloop = supervisor.create_aloop("io")
    supervisor.stop()
    supervisor.start()
    assert aloop.run(asyncio.sleep(0, "back")) == "back"


def test_stopping_a_loop_stops_the_workers_and_jobs_on_it_and_no_others(supervisor, until):
    runs = []

    async def target():
        runs.append(threading.current_thread().name)

    for name in ("io", "other"):
        supervisor.create_aloop(name)
    worker = background_worker(interval=0.01, loop="io", name="w", supervisor=supervisor)(target)
    other = background_worker(interval=0.01, loop="other", name="o", supervisor=supervisor)(target)
    worker.start()
    other.start()
    supervisor.create_async_job_scheduler("jobs", aloop="io")
    job = supervisor.create_async_job(target, interval=0.01)
    until(lambda: runs.count("supervisor_aloop_io") > 5)
    assert supervisor.stop_aloop("io", wait=10)
    assert worker.is_stopped()
    until(lambda: not job.active)
    assert other.is_active()
    assert supervisor.start_aloop("io")
    assert worker.start()


def test_a_coroutine_for_a_loop_that_does_not_run_is_closed(supervisor):
    async def nothing():
        pass

    aloop = supervisor.create_aloop("io", start=False)
    for run in (aloop.run, aloop.run_coroutine_threadsafe, aloop.spawn_coroutine_threadsafe):
        with pytest.raises(NotRunning):
            run(nothing())


def test_a_loop_can_not_bear_the_name_of_the_supervisors_own(supervisor):
    with pytest.raises(DuplicateName, match="supervisor"):
        supervisor.create_aloop("supervisor")


async def answer():
    return 7


@pytest.mark.parametrize("what", [answer, None, 7])
def test_what_is_no_coroutine_is_refused_and_nobody_waits_for_it(supervisor, what):
    aloop = supervisor.create_aloop("io")
    for call in (aloop.spawn_coroutine_threadsafe, aloop.run, supervisor.background_task):
        with pytest.raises(TypeError, match="a coroutine is needed"):
            call(what)
    assert aloop.run(answer()) == 7
