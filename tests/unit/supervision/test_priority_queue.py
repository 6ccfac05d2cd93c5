import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.supervision.threads.priority_queue import PriorityQueue


@given(st.lists(st.integers(0, 5)))
def test_items_come_by_priority_and_in_order_within_one(priorities):
    lanes = PriorityQueue()
    for number, priority in enumerate(priorities):
        lanes.put(priority, (priority, number))
    assert sum(lanes.counts().values()) == len(priorities)
    taken = []
    while lanes.open:
        assert lanes.open[0] == min(lanes.counts())
        taken.append(lanes.take())
    assert taken == sorted(taken)
    assert len(taken) == len(priorities)


def test_the_newest_of_a_priority_can_be_dropped():
    lanes = PriorityQueue()
    for priority, item in ((2, "b"), (1, "a"), (2, "c")):
        lanes.put(priority, item)
    lanes.drop_newest(1)
    lanes.drop_newest(2)
    assert lanes.open == [2]
    assert lanes.take() == "b"
    assert not lanes.open


def test_clearing_returns_what_waited():
    lanes = PriorityQueue()
    lanes.put(2, "b")
    lanes.put(1, "a")
    assert lanes.clear() == ["a", "b"]
    assert not lanes.open
    with pytest.raises(IndexError):
        lanes.take()
