from hypothesis import given
from hypothesis import strategies as st

from mainspring.supervision.threads.timers import Timers

MOMENTS = st.integers(0, 5).map(float)


@given(st.lists(MOMENTS), MOMENTS)
def test_what_is_due_comes_by_moment_and_in_order_within_one(moments, now):
    timers = Timers()
    for number, moment in enumerate(moments):
        timers.put(moment, number, lambda: None)
    due = [number for number, _ in timers.take_due(now)]
    expected = [(moment, number) for number, moment in enumerate(moments) if moment <= now]
    assert due == [number for _, number in sorted(expected)]
    assert sorted(timers.moments) == sorted({moment for moment in moments if moment > now})


def test_a_function_that_is_dropped_is_not_due_and_its_moment_goes_with_the_last():
    timers = Timers()
    timers.put(1.0, 7, print)
    timers.put(1.0, 7, repr)
    timers.put(2.0, 7, print)
    timers.drop(1.0, print)
    timers.drop(2.0, print)
    timers.drop(3.0, print)
    assert timers.moments == [1.0]
    assert list(timers.take_due(9.0)) == [(7, repr)]
    timers.drop(1.0, repr)
    assert not timers.moments
