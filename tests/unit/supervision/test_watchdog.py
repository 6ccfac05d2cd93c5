"""Whom the watchdog asks, and whom it reports."""

import asyncio
import sys
import threading
import time

import pytest

from mainspring.model.events import LoopStalled
from mainspring.supervision import watchdog as watching
from mainspring.supervision.event_loop import EventLoopThread
from mainspring.supervision.supervisor import Supervisor


@pytest.fixture
def loop():
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


def test_a_loop_that_waits_is_not_woken_and_one_that_works_is_reported_once(loop, monkeypatch):
    monkeypatch.setattr(watching, "STALLED_AFTER", 0.0)
    told, began, release = [], threading.Event(), threading.Event()
    dog = watching.Watchdog(lambda: [loop], tell=told.append)

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
    release.set()
    assert [type(event) for event in told] == [LoopStalled]
    assert "release.wait" in told[0].stack
