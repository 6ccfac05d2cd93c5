"""A subscriber that raises harms nobody, and the log says so once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mainspring.model.events import NodeLost
from mainspring.supervision.event_bus import EventBus

ERRORS = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_subscriber_raises_the_next_is_told(caplog, error):
    heard = []

    def grumble(event):
        raise error("not my day")

    bus = EventBus()
    bus.subscribe(grumble)
    bus.subscribe(heard.append)
    for _ in range(3):
        bus.publish(NodeLost("n"))
    assert len(heard) == 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "not my day" in caplog.text
    assert "in grumble" in caplog.text


def test_each_kind_of_failure_is_logged(caplog):
    errors = iter([ValueError(1), OSError(2), ValueError(3)])

    def grumble(event):
        raise next(errors)

    bus = EventBus()
    bus.subscribe(grumble)
    for _ in range(3):
        bus.publish(NodeLost("n"))
    assert len(caplog.records) == 2


def test_a_log_handler_that_raises_as_well_stops_nothing():
    class Broken(logging.Handler):
        def emit(self, record):
            raise SystemExit(2)

    class Odd:
        def __repr__(self):
            raise RuntimeError("no name")

        def __call__(self, event):
            raise ValueError("not my day")

    heard = []
    bus = EventBus()
    bus.subscribe(Odd())
    bus.subscribe(heard.append)
    handler = Broken()
    logging.getLogger("mainspring.supervision").addHandler(handler)
    try:
        bus.publish(NodeLost("n"))
    finally:
        logging.getLogger("mainspring.supervision").removeHandler(handler)
    assert len(heard) == 1
