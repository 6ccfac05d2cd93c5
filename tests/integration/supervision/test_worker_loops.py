"""Background workers and the event loops that they run on."""

import asyncio
import gc
import threading
import time

import pytest

from mainspring import background_worker
from mainspring.errors import (
    AlreadyRunning,
    InvalidOption,
)
from mainspring.supervision.workers import driver


def test_a_loop_that_does_not_exist_is_an_error_and_leaves_it_startable(supervisor):
    async def target():
        pass

    worker = background_worker(interval=1, loop="io", supervisor=supervisor)(target)
    with pytest.raises(InvalidOption, match="io"):
        worker.start()
    assert not worker.is_active()
    supervisor.create_aloop("io")
    assert worker.start()


def test_an_async_target_runs_on_the_loop_it_was_given(supervisor, until):
    got = []

    async def target():
        got.append(threading.current_thread().name)

    supervisor.create_aloop("io")
    background_worker(interval=60, loop="io", supervisor=supervisor)(target).start()
    until(lambda: got)
    assert got == ["supervisor_aloop_io"]


def test_an_async_target_without_a_loop_runs_on_the_supervisors_own(supervisor, until):
    got = []

    async def target():
        got.append(threading.current_thread().name)

    worker = background_worker(interval=60, supervisor=supervisor)(target)
    assert supervisor.get_info()["loops"] == {}
    worker.start()
    until(lambda: got)
    assert got == ["test_loop"]


def test_start_and_stop_on_the_callers_own_loop_never_deadlock(supervisor, auntil):
    runs = []

    async def live():
        async def target(**kwargs):
            runs.append(threading.current_thread())

        loop = asyncio.get_running_loop()
        worker = background_worker(interval=0.001, loop=loop, supervisor=supervisor)(target)
        assert await worker.astart()
        await auntil(lambda: runs)
        worker.stop()
        assert await worker.astop()
        worker.start()
        await auntil(lambda: len(runs) > 3)
        assert await worker.astop(5)

    asyncio.run(live())
    assert set(runs) == {threading.main_thread()}


@pytest.mark.parametrize("own_loop", [True, False])
@pytest.mark.parametrize("what", ["worker", "supervisor"])
def test_a_target_that_awaits_the_stop_of_itself_only_asks(
    supervisor, of_kind, feed, auntil, own_loop, what
):
    async def live():
        answers = []

        async def target(*args, _worker, **kwargs):
            one = _worker if what == "worker" else supervisor
            answers.append(await one.astop())

        loop = asyncio.get_running_loop() if own_loop else None
        worker = background_worker(loop=loop, supervisor=supervisor, **of_kind)(target)
        worker.start()
        feed(worker)
        await auntil(lambda: answers)
        await auntil(worker.is_stopped)
        return answers

    assert asyncio.run(asyncio.wait_for(live(), 10)) == [False]


@pytest.mark.parametrize("inside", [True, False])
def test_supervisor_stop_and_start_on_the_callers_own_loop_never_deadlock(
    supervisor, of_kind, feed, auntil, inside
):
    async def live():
        runs, caught = [], []

        def stop_and_start():
            caught.append(supervisor.stop())
            try:
                caught.append(supervisor.start())
            except AlreadyRunning as error:
                caught.append(error)

        async def target(*args, **kwargs):
            runs.append(1)
            if inside and not caught:
                stop_and_start()
            await asyncio.sleep(0)

        loop = asyncio.get_running_loop()
        worker = background_worker(loop=loop, supervisor=supervisor, **of_kind)(target)
        worker.start()
        feed(worker)
        await auntil(lambda: runs)
        if not inside:
            stop_and_start()
        await auntil(worker.is_stopped)
        assert await supervisor.astop()
        return caught

    since = time.monotonic()
    stopped, started = asyncio.run(live())
    assert stopped is False
    # A target is told that nothing was started; who blocks its loop from outside, that he does.
    assert started is False if inside else isinstance(started, AlreadyRunning)
    assert time.monotonic() - since < supervisor.grace


def test_stop_does_not_wait_for_a_loop_that_its_owner_has_stopped(supervisor, auntil):
    runs = []

    async def target():
        runs.append(1)

    loop = asyncio.new_event_loop()
    worker = background_worker(interval=0.001, loop=loop, supervisor=supervisor)(target)
    worker.start()
    loop.run_until_complete(auntil(lambda: runs))
    since = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - since < 5
    count = len(runs)
    loop.run_until_complete(auntil(lambda: len(asyncio.all_tasks()) == 1))
    loop.close()
    assert len(runs) == count


def test_a_worker_ends_with_the_loop_of_its_owner(supervisor, auntil, until, caplog):
    async def live():
        runs = []

        async def target():
            runs.append(1)

        loop = asyncio.get_running_loop()
        worker = background_worker(interval=0.001, loop=loop, supervisor=supervisor)(target)
        worker.start()
        await auntil(lambda: runs)
        return worker

    worker = asyncio.run(live())
    until(worker.is_stopped)
    assert worker.status().state == "failed"
    assert worker.stop()
    assert "stops: its event loop ends" in caplog.text
    assert "started again" not in caplog.text


@pytest.fixture
def foreign_loop():
    """A loop of the user's own in a thread of its own, and what ends it without a word."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def close():
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    yield loop, close
    if not loop.is_closed():
        close()


async def no_pause(runs):
    runs.append(1)


async def a_pause(runs):
    runs.append(1)
    await asyncio.sleep(60)


@pytest.mark.parametrize("body", [no_pause, a_pause])
def test_a_worker_ends_when_its_owners_loop_is_closed_without_a_word(
    supervisor, until, foreign_loop, caplog, monkeypatch, body
):
    monkeypatch.setattr(driver, "LOOK", 0.01)
    loop, close = foreign_loop
    runs = []

    async def target():
        await body(runs)

    worker = background_worker(interval=0.01, loop=loop, supervisor=supervisor)(target)
    worker.start()
    until(lambda: runs)
    close()
    until(worker.is_stopped)
    assert worker.status().state == "failed"
    assert "worker 'target' stops: its event loop is closed" in caplog.text
    assert supervisor.stop()
    del worker
    gc.collect()
    assert "raised" not in caplog.text


def test_a_loop_that_is_closed_already_is_an_error(supervisor):
    async def target():
        pass

    loop = asyncio.new_event_loop()
    loop.close()
    worker = background_worker(interval=1, loop=loop, supervisor=supervisor)(target)
    with pytest.raises(InvalidOption, match="loop"):
        worker.start()
    assert not worker.is_started()


def test_a_loop_that_does_not_exist_is_an_error_for_a_sync_target_too(supervisor):
    worker = background_worker(interval=60, loop="nowhere", supervisor=supervisor)(lambda: None)
    with pytest.raises(InvalidOption, match="loop='nowhere'"):
        worker.start()
    assert not worker.is_started()
    supervisor.create_aloop("nowhere")
    assert worker.start()
