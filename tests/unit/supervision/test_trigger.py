from datetime import UTC, datetime, timedelta

import pytest

from mainspring.errors import InvalidOption
from mainspring.model.schedule import Every
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.triggers.scheduled import Scheduled


def starts(trigger, run_times, *, begin=100.0):
    """Drive a trigger on a made-up clock; return when each run started, from `begin`."""
    now, found = begin, []
    for run_time in run_times:
        now += max(trigger.due(now), 0.0)
        assert trigger.due(now) <= 0
        trigger.take(now)
        found.append(round(now - begin, 6))
        now += run_time
        trigger.done(now)
    return found


def test_continuous_is_always_due():
    assert starts(Continuous(), [1, 2, 3]) == [0, 1, 3]


def test_an_interval_counts_from_start_to_start_and_fires_at_once():
    assert starts(Interval(1.0), [0.3, 0.9, 0.1, 0.0]) == [0, 1, 2, 3]


def test_a_delay_counts_from_end_to_start():
    assert starts(Interval(delay=1.0), [0.3, 0.9, 0.1]) == [0, 1.3, 3.2]


def test_a_delay_before_is_waited_before_every_run():
    assert starts(Interval(delay_before=1.0), [0.5, 0.5]) == [1, 2.5]


def test_a_delay_before_counts_into_the_interval():
    assert starts(Interval(1.0, delay_before=0.2), [0.1, 0.1, 0.1]) == [0.2, 1.2, 2.2]


def test_a_delay_before_is_not_cut_short_by_a_long_run():
    assert starts(Interval(1.0, delay_before=0.2), [1.5, 0.1, 0.1]) == [0.2, 1.9, 2.2 + 0.0 + 0.0]


def test_a_delay_before_adds_to_a_delay():
    assert starts(Interval(delay=1.0, delay_before=0.2), [0.5, 0.5]) == [0.2, 1.9]


def test_ticks_missed_by_a_long_run_become_one_run():
    assert starts(Interval(1.0), [3.5, 0.1, 0.1]) == [0, 3.5, 4]


def test_ticks_missed_by_a_long_run_can_be_left_out():
    assert starts(Interval(1.0, misfire="skip"), [3.5, 0.1, 0.1]) == [0, 4, 5]


def test_ticks_missed_by_a_long_run_can_all_be_made_up_for():
    assert starts(Interval(1.0, misfire="all"), [3.5, 0.1, 0.1, 0.1, 0.1]) == [0, 3.5, 3.6, 3.7, 4]


def test_twenty_seconds_of_twentieths_are_four_hundred_runs():
    found = starts(Interval(0.05), [0.01] * 450)
    assert sum(start < 20 for start in found) == 400


def test_a_late_timer_does_not_move_the_grid():
    trigger = Interval(1.0)
    trigger.due(100.0)
    trigger.take(100.4)
    trigger.done(100.5)
    assert trigger.due(100.5) == pytest.approx(0.5)


def test_jitter_stays_within_its_bound_and_does_not_add_up():
    found = starts(Interval(1.0, jitter=0.2), [0.0] * 200)
    assert all(0 <= start - number <= 0.2 for number, start in enumerate(found))
    assert len({round(start - number, 6) for number, start in enumerate(found)}) > 100


def test_a_wake_fires_now_and_moves_the_grid():
    trigger = Interval(1.0)
    starts(trigger, [0.1])
    trigger.wake()
    assert trigger.due(100.4) == 0
    trigger.take(100.4)
    trigger.done(100.5)
    assert trigger.due(100.5) == pytest.approx(0.9)


def test_a_wake_during_a_run_is_one_more_run():
    trigger = Interval(1.0)
    trigger.due(100.0)
    trigger.take(100.0)
    trigger.wake()
    trigger.wake()
    trigger.done(100.1)
    assert trigger.due(100.1) == 0
    trigger.take(100.1)
    trigger.done(100.2)
    assert trigger.due(100.2) == pytest.approx(0.9)


@pytest.mark.parametrize("pace", [{"interval": 1.0}, {"delay": 1.0}])
def test_a_rebase_counts_anew_from_now_without_a_run(pace):
    trigger = Interval(**pace)
    starts(trigger, [0.1])
    trigger.rebase()
    assert trigger.due(100.6) == pytest.approx(1.0)


@pytest.mark.parametrize("pace", [{"interval": 1.0}, {"delay": 1.0}])
def test_a_rebase_during_a_run_is_no_run_and_no_error(pace):
    trigger = Interval(**pace)
    trigger.due(100.0)
    trigger.take(100.0)
    trigger.rebase()
    trigger.done(100.4)
    assert trigger.due(100.4) == pytest.approx(1.0)


def test_a_rebase_before_the_first_run_puts_it_off():
    trigger = Interval(1.0)
    trigger.rebase()
    assert trigger.due(100.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "interval"),
        ({"interval": 0}, "interval"),
        ({"interval": -1}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"interval": 1, "delay": 1}, "delay"),
        ({"delay": -1}, "delay"),
        ({"delay_before": -1}, "delay_before"),
        ({"interval": 1, "jitter": -1}, "jitter"),
        ({"interval": 1, "misfire": "later"}, "misfire"),
    ],
)
def test_a_pace_that_makes_no_sense_is_named(options, named):
    with pytest.raises(InvalidOption) as caught:
        Interval(**options)
    assert caught.value.option == named


def test_firings_before_a_run_become_one():
    trigger = Event()
    assert trigger.due(0) is None
    for _ in range(10):
        trigger.fire()
    assert trigger.due(0) == 0
    trigger.take(0)
    assert trigger.due(0) is None


def test_a_firing_during_a_run_is_one_more_run():
    trigger = Event()
    trigger.fire()
    trigger.take(0)
    trigger.fire()
    trigger.fire()
    trigger.done(1)
    assert trigger.due(1) == 0
    trigger.take(1)
    trigger.done(2)
    assert trigger.due(2) is None


def test_the_last_payload_reaches_the_target_and_is_not_kept():
    trigger = Event(payloads=True)
    trigger.fire("first")
    trigger.fire("second")
    assert trigger.take(0) == ("second",)
    trigger.wake()
    assert trigger.take(1) == (None,)


def test_a_forgotten_firing_is_no_run():
    trigger = Event(payloads=True)
    trigger.fire("old")
    trigger.forget()
    assert trigger.due(0) is None


@pytest.mark.parametrize("trigger", [Continuous(), Event(), Interval(1), Scheduled(Every(1))])
def test_every_trigger_can_be_woken_and_closed_and_says_so_to_its_driver(trigger):
    woken = []
    trigger.bind(lambda: woken.append(1))
    trigger.wake()
    assert not trigger.closed
    assert trigger.due(0.0) == 0
    trigger.close()
    assert trigger.closed
    assert len(woken) == 2


class WallClock:
    def __init__(self):
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


def test_a_schedule_fires_at_its_ticks():
    clock = WallClock()
    trigger = Scheduled(Every(30), clock=clock)
    assert trigger.due(0) == 30
    clock.advance(30)
    assert trigger.due(0) == 0
    trigger.take(0)
    assert trigger.due(0) == 30


def test_ticks_that_a_schedule_missed_are_one_run():
    clock = WallClock()
    trigger = Scheduled(Every(30), clock=clock)
    trigger.due(0)
    clock.advance(200)
    assert trigger.due(0) < 0
    trigger.take(0)
    assert trigger.due(0) == 10


def test_a_clock_set_back_fires_no_tick_twice():
    clock = WallClock()
    trigger = Scheduled(Every(30), clock=clock)
    trigger.due(0)
    clock.advance(30)
    trigger.take(0)
    clock.advance(-30)
    assert trigger.due(0) == 60


def test_a_clock_set_forward_is_noticed_within_a_minute():
    clock = WallClock()
    trigger = Scheduled(Every(86_400), clock=clock)
    assert trigger.due(0) == 60


def test_a_wake_runs_besides_the_schedule():
    clock = WallClock()
    trigger = Scheduled(Every(30), clock=clock)
    trigger.due(0)
    trigger.wake()
    assert trigger.due(0) == 0
    trigger.take(0)
    assert trigger.due(0) == 30


def test_a_schedule_that_has_ended_never_fires():
    class Over:
        def next_after(self, moment):
            return None

    trigger = Scheduled(Over())
    assert trigger.due(0) is None


class Failing:
    """Raises as often as it is told to, then ticks every half a minute."""

    def __init__(self):
        self.failures = 0

    def next_after(self, moment):
        if self.failures:
            self.failures -= 1
            raise OSError("no calendar")
        return moment + timedelta(seconds=30)


def test_a_schedule_that_raises_is_asked_the_same_again_and_loses_no_tick():
    clock, schedule = WallClock(), Failing()
    trigger = Scheduled(schedule, clock=clock)
    for step in (lambda: None, lambda: trigger.take(0), trigger.rebase):
        schedule.failures = 1
        step()
        with pytest.raises(OSError, match="no calendar"):
            trigger.due(0)
        clock.advance(5)
        assert trigger.due(0) == 25
        clock.advance(25)


def test_a_rebase_counts_from_its_moment_though_a_run_is_under_way():
    trigger = Interval(1.0)
    trigger.due(100.0)
    trigger.take(100.0)
    trigger.rebase(100.25)
    trigger.done(100.75)
    assert trigger.due(100.75) == pytest.approx(0.5)


def test_a_rebase_during_a_run_shortens_no_delay():
    trigger = Interval(delay=1.0)
    trigger.due(100.0)
    trigger.take(100.0)
    trigger.rebase(100.25)
    trigger.done(100.75)
    assert trigger.due(100.75) == pytest.approx(1.0)


def test_an_event_that_is_forgotten_when_its_run_is_about_to_begin_is_no_run():
    trigger = Event(payloads=True)
    trigger.fire("payload")
    assert trigger.due(0.0) == 0.0
    trigger.forget()
    assert trigger.take(0.0) is None
    trigger.fire("next")
    assert trigger.take(0.0) == ("next",)
