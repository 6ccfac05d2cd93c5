"""The log of an outage of a store's server: few lines, however many threads meet it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.stores import outage as module
from mainspring.stores.outage import Outage


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: a list of one number."""
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_an_outage_is_told_once_a_minute_and_so_is_its_end(clock, caplog):
    outage = Outage("redis://host")
    for _ in range(125):
        outage.note("refused")
        clock[0] += 1
    outage.end()
    outage.end()
    first, second, third, back = caplog.messages
    assert first.startswith("redis://host has not answered for 1.0 s: refused; it is tried again")
    assert second.startswith("redis://host has not answered for 61.0 s")
    assert third.startswith("redis://host has not answered for 121.0 s")
    assert back == "redis://host answers again, after 125.0 s"


def test_a_blip_is_not_told(clock, caplog):
    outage = Outage("redis://host")
    for _ in range(10):
        outage.note("refused")
        clock[0] += 0.9
        outage.end()
        clock[0] += 60
    assert caplog.messages == []
    assert not outage.lasts


def test_of_many_threads_one_tells_it(clock, caplog):
    outage = Outage("redis://host")
    outage.note("refused")
    clock[0] += 1
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: outage.note("refused"), range(400)))
        list(threads.map(lambda _: outage.end(), range(400)))
    assert len(caplog.messages) == 2
