import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidOption
from mainspring.model.backoff import Exponential
from mainspring.model.retry import delay_after_crash

attempts = st.integers(min_value=1, max_value=10**9)
chances = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300)])
def test_the_longest_delay_doubles_up_to_the_cap(attempt, ceiling):
    assert Exponential().delay(attempt, chance=1.0) == ceiling


@given(attempts, chances)
def test_a_delay_is_never_negative_nor_over_the_cap(attempt, chance):
    assert 0 <= Exponential().delay(attempt, chance=chance) <= 300


@given(attempts, chances)
def test_a_later_attempt_never_waits_less_for_the_same_chance(attempt, chance):
    policy = Exponential(base=0.5, factor=3, cap=1000)
    assert policy.delay(attempt, chance=chance) <= policy.delay(attempt + 1, chance=chance)


@given(chances)
def test_the_jitter_is_full(chance):
    assert Exponential(base=8).delay(1, chance=chance) == 8 * chance


def test_the_delay_is_drawn_from_the_whole_range(monkeypatch):
    drawn = iter([0.0, 0.25, 0.999])
    monkeypatch.setattr(random, "random", lambda: next(drawn))
    assert [Exponential(base=100).delay(1) for _ in range(3)] == [0.0, 25.0, 99.9]


@pytest.mark.parametrize("attempt", [65, 1025, 10**9])
def test_a_very_late_attempt_waits_the_cap_and_does_not_overflow(attempt):
    assert Exponential().delay(attempt, chance=1.0) == 300


def test_a_factor_of_one_waits_the_same_each_time():
    policy = Exponential(base=7, factor=1)
    assert [policy.delay(attempt, chance=1.0) for attempt in (1, 2, 50)] == [7, 7, 7]


def test_a_base_over_the_cap_waits_the_cap():
    assert Exponential(base=10, cap=4).delay(1, chance=1.0) == 4


@pytest.mark.parametrize("option", ["base", "factor", "cap"])
@pytest.mark.parametrize("value", [-1, "1", None, True, float("nan"), float("inf"), 10**400])
def test_numbers_that_make_no_sense_are_refused_where_they_are_written(option, value):
    with pytest.raises(InvalidOption, match=f"Exponential: {option}="):
        Exponential(**{option: value})


def test_policies_with_the_same_numbers_are_equal():
    assert Exponential(1, cap=300) == Exponential()


@pytest.mark.parametrize(("crashes", "delay"), [(1, 0.0), (2, 5.0), (3, None), (100, None)])
def test_a_crashed_job_runs_at_once_then_later_then_no_more(crashes, delay):
    assert delay_after_crash(crashes) == delay
