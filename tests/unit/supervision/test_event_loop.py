import asyncio
import threading
import time

import pytest

from mainspring.errors import NotRunning
from mainspring.supervision.loops.event_loop import EventLoopThread
from mainspring.supervision.supervisor.supervisor import Supervisor


async def where():
    return threading.current_thread().name


def test_coroutines_of_any_thread_run_in_its_thread():
    loop = EventLoopThread("io", thread_name="my_io")
    with Supervisor([loop]):
        assert loop.submit(where()).result(10) == "my_io"
        assert loop.active
    assert not loop.active


def test_it_takes_nothing_before_its_start_and_after_its_end():
    loop = EventLoopThread("io")
    with pytest.raises(NotRunning, match="io"):
        loop.submit(where())
    with Supervisor([loop]):
        pass
    with pytest.raises(NotRunning, match="io"):
        loop.submit(where())


def test_what_a_coroutine_raises_comes_back():
    async def fail():
        raise OSError("gone")

    loop = EventLoopThread("io")
    with Supervisor([loop]):
        future = loop.submit(fail())
        with pytest.raises(OSError, match="gone"):
            future.result(10)


def test_closing_lets_what_runs_end():
    async def work():
        await asyncio.sleep(0.05)
        return "done"

    loop = EventLoopThread("io")
    with Supervisor([loop]):
        future = loop.submit(work())
    assert future.result(0) == "done"


def test_what_does_not_end_is_cancelled_after_the_grace():
    loop = EventLoopThread("io")
    supervisor = Supervisor([loop])
    supervisor.start()
    future = loop.submit(asyncio.sleep(3600))
    began = time.monotonic()
    assert supervisor.stop(0.1)
    assert time.monotonic() - began < 2
    assert future.cancelled()


def test_a_blocked_loop_is_left_behind_and_named(caplog):
    release = threading.Event()

    async def block():
        release.wait()

    loop = EventLoopThread("io")
    supervisor = Supervisor([loop])
    supervisor.start()
    loop.submit(block())
    assert supervisor.stop(0.1)
    release.set()
    assert "thread 'io' does not end" in caplog.text
    assert "release.wait()" in caplog.text


def test_who_waits_for_a_loop_that_was_closed_before_it_began_is_told_at_once():
    loop = EventLoopThread("x")
    loop.close()
    asyncio.run(loop.run(lambda: None))
    assert loop.wait_active(60) is False
