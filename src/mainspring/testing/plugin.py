"""The pytest plugin: fixtures for tests of application code. Loads nothing before one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mainspring.queue.front import Queue
    from mainspring.queue.kit.front import TestQueue

WORKER_GRACE = 5.0
"""Seconds that jobs get at the end of a test with a worker."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting of the ini file."""
    help_ = "where the queue under test is: module:attribute, such as shop.tasks:queue"
    parser.addini("mainspring_app", help_)


@pytest.fixture(scope="session")
def mainspring_app(pytestconfig: pytest.Config) -> Queue:
    """Queue under test: by `mainspring_app` in the ini file, or a fixture of yours of this name."""
    from mainspring.app_address import Address  # noqa: PLC0415  # a lazy door
    from mainspring.errors import AppNotFound  # noqa: PLC0415  # as above
    from mainspring.queue.front import Queue  # noqa: PLC0415  # as above

    address = str(pytestconfig.getini("mainspring_app"))
    if not address:
        pytest.fail(
            "mainspring does not know which queue is under test: write "
            "mainspring_app = shop.tasks:queue (its module and name) into the ini file of pytest, "
            "or a fixture mainspring_app that returns it",
            pytrace=False,
        )
    try:
        return Address(address, Queue, noun="queue", example="shop.tasks:queue").find()
    except AppNotFound as error:
        why = str(error)
    # Outside of the block, or pytest shows the error with its cause, too.
    pytest.fail(f"mainspring_app in the ini file of pytest: {why}", pytrace=False)


@pytest.fixture
def mainspring_at() -> datetime | None:
    """Moment (aware) at which the clock of `mainspring_queue` begins: now, unless yours says it."""
    return None


@pytest.fixture
def mainspring_queue(mainspring_app: Queue, mainspring_at: datetime | None) -> Iterator[TestQueue]:
    """Queue during this test, as `queue.testing()` gives it: jobs run when the test says so."""
    with _queue_of(mainspring_app).testing(at=mainspring_at) as tested:
        yield tested


@pytest.fixture
def mainspring_worker(mainspring_app: Queue) -> Iterator[Queue]:
    """Queue with a real worker in threads, over a private store in memory, in real time."""
    from mainspring.testing.real_worker import real_worker  # noqa: PLC0415  # a lazy door

    queue = _queue_of(mainspring_app)
    with real_worker(queue, grace=WORKER_GRACE):
        yield queue


def _queue_of(app: object) -> Queue:
    """Return the queue of what the user's fixture gave: a queue, or an app that has one."""
    from mainspring.app_factory import NotUsable, held_by  # noqa: PLC0415  # a lazy door
    from mainspring.queue.front import Queue  # noqa: PLC0415  # as above

    try:
        return held_by("what it returned", app, Queue)
    except NotUsable as error:
        why = str(error)
    pytest.fail(f"the fixture mainspring_app does not lead to a Queue: {why}", pytrace=False)
