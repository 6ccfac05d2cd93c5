"""Names and keys that every store can keep, and the sentence about the others."""

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption
from mainspring.model.name import LONGEST

BAD = ["", "\udc80", "a\0b", "x" * (LONGEST + 1), 5]


@pytest.fixture
def queue():
    queue = Queue("memory://")
    yield queue
    queue.close()


def nothing():
    """Return nothing."""


WAYS = {
    "a task's name": lambda queue, name: queue.task(name=name)(nothing),
    "a task's queue": lambda queue, name: queue.task(queue=name)(nothing),
    "another queue": lambda queue, name: queue.task(nothing).using(queue=name),
    "a unique key": lambda queue, name: queue.task(nothing).using(unique=name),
    "an idempotency key": lambda queue, name: queue.task(nothing).using(idempotency_key=name),
    "a schedule's name": lambda queue, name: queue.every(seconds=9, name=name)(nothing),
    "a queue to pause": lambda queue, name: queue.pause(name),
    "a queue to work on": lambda queue, name: queue.run_worker([name]),
}


@pytest.mark.parametrize("name", BAD, ids=["none", "a surrogate", "NUL", "too long", "a number"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_name_that_no_store_can_keep_is_refused_with_what_is_expected(queue, way, name):
    with pytest.raises(InvalidOption, match="expected") as refused:
        way(queue, name)
    assert len(str(refused.value)) < 1000


def test_a_search_for_what_no_store_can_hold_is_refused(queue):
    with pytest.raises(InvalidOption, match="search"):
        queue.jobs(search="\udc80")


@pytest.mark.parametrize("function", [max, dict])
def test_a_function_whose_parameters_are_not_known_is_refused(queue, function):
    with pytest.raises(InvalidOption, match="from a def of yours"):
        queue.task(function)
