from hypothesis import given
from hypothesis import strategies as st

from mainspring.supervision.threads.agenda import Agenda

MOMENTS = st.integers(0, 5).map(float)


@given(st.lists(MOMENTS), MOMENTS)
def test_what_is_due_comes_by_moment_and_in_order_within_one(moments, now):
    agenda = Agenda()
    for number, moment in enumerate(moments):
        agenda.put(moment, number, lambda: None)
    due = [number for number, _ in agenda.take_due(now)]
    expected = [(moment, number) for number, moment in enumerate(moments) if moment <= now]
    assert due == [number for _, number in sorted(expected)]
    assert sorted(agenda.moments) == sorted({moment for moment in moments if moment > now})


def test_a_function_that_is_dropped_is_not_due_and_its_moment_goes_with_the_last():
    agenda = Agenda()
    agenda.put(1.0, 7, print)
    agenda.put(1.0, 7, repr)
    agenda.put(2.0, 7, print)
    agenda.drop(1.0, print)
    agenda.drop(2.0, print)
    agenda.drop(3.0, print)
    assert agenda.moments == [1.0]
    assert list(agenda.take_due(9.0)) == [(7, repr)]
    agenda.drop(1.0, repr)
    assert not agenda.moments
