import math
from datetime import timedelta

import pytest

from mainspring import Restart
from mainspring.errors import InvalidOption
from mainspring.model.backoff import Exponential
from mainspring.supervision.restart import DoublingBackoff, Failures, NoDelay


def test_the_first_failure_rests_not_at_all_and_the_next_ones_double_up_to_the_cap():
    delays = [DoublingBackoff().delay(attempt, chance=1.0) for attempt in range(1, 13)]
    assert delays[:5] == pytest.approx([0, 0.1, 0.2, 0.4, 0.8])
    assert delays[-1] == 30


def test_chance_takes_off_up_to_half_of_a_rest():
    assert DoublingBackoff().delay(3, chance=0.0) == pytest.approx(0.1)
    assert all(0.1 <= DoublingBackoff().delay(3) <= 0.2 for _ in range(100))


def test_a_thousand_failures_in_a_row_still_rest_no_longer_than_the_cap():
    assert DoublingBackoff().delay(5000, chance=1.0) == 30


def test_a_success_starts_the_backoff_afresh():
    failures = Failures(Restart(), backoff=DoublingBackoff())
    assert failures.failed(0.0) == 0
    assert failures.failed(1.0) > 0
    failures.succeeded()
    assert failures.failed(2.0) == 0


def test_without_a_maximum_it_never_gives_up():
    failures = Failures(Restart(), backoff=NoDelay())
    assert all(failures.failed(float(now)) == 0 for now in range(1000))


def test_more_failures_than_the_maximum_within_the_window_give_up():
    failures = Failures(Restart(max_failures=3, within=10), backoff=NoDelay())
    assert [failures.failed(now) for now in (0.0, 1.0, 2.0, 3.0)] == [0, 0, 0, None]


def test_failures_older_than_the_window_are_forgiven():
    failures = Failures(Restart(max_failures=1, within=10), backoff=NoDelay())
    assert [failures.failed(now) for now in (0.0, 11.0, 22.0, 30.0)] == [0, 0, 0, None]


def test_no_failure_at_all_may_be_allowed():
    assert Failures(Restart(max_failures=0), backoff=NoDelay()).failed(0.0) is None


def test_a_backoff_of_ones_own_is_used():
    failures = Failures(Restart(backoff=Exponential(base=5, cap=5)), backoff=NoDelay())
    assert 0 <= failures.failed(0.0) <= 5


@pytest.mark.parametrize(
    ("options", "named"), [({"max_failures": -1}, "max_failures"), ({"within": 0}, "within")]
)
def test_a_policy_that_makes_no_sense_is_named(options, named):
    with pytest.raises(InvalidOption) as caught:
        Restart(**options)
    assert caught.value.option == named


@pytest.mark.parametrize("wrong", [timedelta(seconds=1), None, math.nan, math.inf, "1"])
def test_the_usual_backoff_stands_in_for_one_that_returns_no_seconds(caplog, wrong):
    class Wrong:
        def delay(self, attempt):
            return wrong

    failures = Failures(Restart(backoff=Wrong()), backoff=NoDelay())
    failures.failed(0.0)
    assert 0.05 <= failures.failed(0.0) <= 0.1
    assert f"returned {wrong!r}, not a number of seconds" in caplog.text
