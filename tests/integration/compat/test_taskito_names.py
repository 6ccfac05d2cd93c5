"""What programs written for taskito reach for: `_inner`, and priorities the other way round."""

import warnings

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption


def test_inner_request_shutdown_stops_the_workers_and_warns_once():
    queue = Queue("memory://")

    @queue.task
    def stop():
        queue._inner.request_shutdown()

    stop.delay()
    with pytest.warns(DeprecationWarning, match=r"queue\.shutdown\(\)"):
        queue._inner.request_shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        queue.run_worker()  # returns, since the task asks for it


@pytest.mark.parametrize(
    ("order", "expected"), [("higher_first", [9, 5, 1]), ("lower_first", [1, 5, 9])]
)
def test_the_order_of_priorities_is_chosen(order, expected):
    queue, seen = Queue("memory://", priority_order=order, workers=1), []

    @queue.task(priority=5)
    def note(priority):
        seen.append(priority)
        if len(seen) == 3:
            queue.shutdown()

    note.delay(5)
    for priority in (1, 9):
        note.using(priority=priority).delay(priority)
    queue.run_worker()
    assert seen == expected


def test_an_order_or_a_priority_that_makes_no_sense_is_refused():
    with pytest.raises(InvalidOption, match="priority_order='highest'"):
        Queue("memory://", priority_order="highest")
    queue = Queue("memory://", priority_order="higher_first")
    with pytest.raises(InvalidOption, match="priority='urgent'"):
        queue.task(priority="urgent")
