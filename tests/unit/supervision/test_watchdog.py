"""Whom the watchdog asks, and whom it reports."""

import asyncio
import sys
import threading
import time

import pytest

from mainspring.model.events import LoopStalled
from mainspring.supervision.loops import event_loop
from mainspring.supervision.loops.event_loop import EventLoopThread
from mainspring.supervision.supervisor import watchdog as watching
from mainspring.supervision.supervisor.supervisor import Supervisor


@pytest.fixture
def loop():
    service = EventLoopThread("watched")
    with Supervisor([service]):
        yield service


@pytest.fixture
def plain_loop(monkeypatch):
    """One that does not say since when it is at work."""
    monkeypatch.setattr(event_loop, "new_loop", asyncio.SelectorEventLoop)
    service = EventLoopThread("watched")
    with Supervisor([service]):
        yield service


def waits(loop):
    return watching.waits(loop, sys._current_frames())


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_loop_that_waits_is_seen_to_wait(loop):
    until(lambda: waits(loop))
    timer = loop.submit(asyncio.sleep(60))
    until(lambda: waits(loop))
    timer.cancel()


def test_a_loop_that_works_is_not(loop):
    began, release = threading.Event(), threading.Event()

    async def block():
        began.set()
        release.wait(10)

    loop.submit(block())
    assert began.wait(10)
    assert not waits(loop)
    release.set()


@pytest.mark.parametrize("kind", ["loop", "plain_loop"])
def test_a_loop_that_waits_is_not_woken_and_one_that_works_is_reported_once(
    kind, request, monkeypatch, caplog
):
    loop = request.getfixturevalue(kind)
    monkeypatch.setattr(watching, "STALLED_AFTER", 0.0)
    told, began, release = [], threading.Event(), threading.Event()
    dog = watching.Watchdog(lambda: [loop], publish=told.append)

    async def block():
        began.set()
        release.wait(10)

    until(lambda: waits(loop))
    asyncio.run(dog.look())
    assert dog.latencies() == {"watched": 0.0}
    loop.submit(block())
    assert began.wait(10)
    for _ in range(3):
        asyncio.run(dog.look())
    assert dog.latencies()["watched"] > 0
    release.set()
    assert [type(event) for event in told] == [LoopStalled]
    assert "release.wait" in told[0].stack
    until(lambda: "goes on after" in caplog.text)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a loop tells how long it works")
def test_a_loop_that_tells_how_long_it_works_is_reported_at_the_first_look(loop, monkeypatch):
    monkeypatch.setattr(watching, "STALLED_AFTER", 0.05)
    told, began, release = [], threading.Event(), threading.Event()
    dog = watching.Watchdog(lambda: [loop], publish=told.append)

    async def block():
        began.set()
        release.wait(10)

    loop.submit(block())
    assert began.wait(10)
    until(lambda: loop.loop.turn_lasts() > 0.05)
    asyncio.run(dog.look())
    release.set()
    assert told[0].seconds > 0.05
    assert dog.trigger.delay == watching.LOOK


@pytest.mark.skipif(sys.platform != "linux", reason="only there a loop tells how long it works")
def test_it_looks_seldom_while_all_loops_wait_and_say_so(loop):
    dog = watching.Watchdog(lambda: [loop], publish=print)
    until(lambda: loop.loop.turn_lasts() == 0)
    asyncio.run(dog.look())
    assert dog.trigger.delay == watching.RARE_LOOK


def test_it_looks_often_at_a_loop_of_another_kind(plain_loop):
    dog = watching.Watchdog(lambda: [plain_loop], publish=print)
    asyncio.run(dog.look())
    assert dog.trigger.delay == watching.LOOK


def test_a_block_is_found_within_two_seconds_whenever_it_begins():
    # Found at the first look, it is reported at once; or it is too young, and reported at the next.
    assert watching.RARE_LOOK > watching.STALLED_AFTER
    assert max(watching.RARE_LOOK, watching.STALLED_AFTER + watching.LOOK) < 1.9
    # Another kind of loop is asked at the first look, and reported at the next.
    assert watching.LOOK > watching.STALLED_AFTER
    assert 2 * watching.LOOK < 1.9


def test_without_a_loop_it_rests_until_it_is_woken(loop):
    loops = []
    watchdog = watching.Watchdog(lambda: loops, publish=print)
    asyncio.run(watchdog.look())
    assert watchdog.trigger.delay == watching.NO_LOOK
    watchdog.wake()
    assert watchdog.trigger.due(time.monotonic()) == 0
    loops.append(loop)
    asyncio.run(watchdog.look())
    assert watchdog.trigger.delay <= watching.RARE_LOOK
