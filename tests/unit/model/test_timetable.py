"""What is due of a schedule, and what becomes of ticks that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidOption
from mainspring.model.timetable import (
    MOST_TICKS,
    Due,
    NewSchedule,
    RuleText,
    ScheduleRecord,
    decode_rule,
    due_at,
    encode_rule,
    next_tick,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def record(rule, catch_up="one", last=NOON, anchor=NOON):
    new = NewSchedule("s", rule, "t", "default", b"[[],{}]", catch_up=catch_up)
    return ScheduleRecord(new, anchor, last, paused=False)


def minutely(catch_up="one", last=NOON):
    return record(RuleText(cron="* * * * *"), catch_up, last)


@pytest.mark.parametrize("catch_up", ["skip", "one", "all"])
def test_nothing_is_due_before_the_next_tick_and_one_job_at_it(catch_up):
    schedule = minutely(catch_up)
    assert due_at(schedule, NOON) is None
    assert due_at(schedule, NOON + 59 * SECOND) is None
    assert due_at(schedule, NOON + 60 * SECOND) == Due(NOON + 60 * SECOND, 1)
    assert due_at(schedule, NOON + 69 * SECOND) == Due(NOON + 60 * SECOND, 1)


def test_missed_ticks_are_one_job_or_one_each_or_none():
    now = NOON + 3 * HOUR + 30 * SECOND
    to = NOON + 3 * HOUR
    assert due_at(minutely("one"), now) == Due(to, 1)
    assert due_at(minutely("all"), now) == Due(to, 180)
    assert due_at(minutely("skip"), now) == Due(to, 0)


def test_a_tick_on_time_is_made_whatever_was_missed_before():
    assert due_at(minutely("skip"), NOON + 3 * HOUR) == Due(NOON + 3 * HOUR, 1)


@pytest.mark.parametrize(
    ("rule", "missed"),
    [
        (RuleText(every=1.0), 30 * 86_400),
        (RuleText(every=0.1), 10**7),
        (RuleText(cron="* * * * *"), 43_200),
    ],
)
def test_of_a_month_of_missed_ticks_the_last_thousand_are_caught_up(rule, missed):
    schedule = record(rule, "all")
    step = timedelta(days=30) / missed if rule.every is None else timedelta(seconds=rule.every)
    now = NOON + step * missed
    assert due_at(schedule, now) == Due(now, MOST_TICKS)


@pytest.mark.parametrize("catch_up", ["skip", "one", "all"])
def test_a_clock_set_back_makes_no_tick_again_and_one_set_on_misses_some(catch_up):
    ticked = minutely(catch_up, last=NOON + HOUR)
    back = NOON + 30 * SECOND
    assert due_at(ticked, back) is None
    assert next_tick(ticked, back) == NOON + HOUR + 60 * SECOND
    on = NOON + 2 * HOUR + 30 * SECOND
    jobs = {"skip": 0, "one": 1, "all": 60}[catch_up]
    assert due_at(ticked, on) == Due(NOON + 2 * HOUR, jobs)
    assert next_tick(ticked, on) == NOON + 2 * HOUR + 60 * SECOND


def test_an_interval_keeps_its_grid_whenever_it_is_looked_at():
    schedule = record(RuleText(every=0.1))
    for late in (0.0, 0.013, 0.099):
        now = NOON + timedelta(seconds=7.3 + late)
        assert due_at(schedule, now) == Due(NOON + timedelta(seconds=7.3), 1)
        assert next_tick(schedule, now) == NOON + timedelta(seconds=7.4)


def test_an_interval_longer_than_the_time_since_its_anchor_is_not_due():
    schedule = record(RuleText(every=86_400))
    assert due_at(schedule, NOON + timedelta(hours=23)) is None
    assert due_at(schedule, NOON - HOUR) is None


def test_a_night_with_an_hour_twice_has_one_daily_tick_and_all_hourly_ones():
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Prague, clocks go back at 3
    daily = record(RuleText(cron="30 2 * * *", tz="Europe/Prague"), "all", last=begin)
    hourly = record(RuleText(cron="0 * * * *", tz="Europe/Prague"), "all", last=begin)
    morning = begin + 8 * HOUR
    assert due_at(daily, morning).jobs == 1
    assert due_at(hourly, morning).jobs == 8


steps = st.lists(st.floats(0.001, 5_000), min_size=1, max_size=20)
rules = st.sampled_from(
    [
        RuleText(every=7.5),
        RuleText(every=600),
        RuleText(cron="*/7 * * * *"),
        RuleText(cron="10 */2 * * *", tz="Australia/Lord_Howe"),
        RuleText(cron="30 2 * * *", tz="Europe/Prague"),
    ]
)


@given(rules, steps, st.integers(0, 86_400_000))
def test_however_often_it_is_looked_at_all_ticks_are_made_once_in_order(rule, steps, offset):
    begin = datetime(2026, 10, 24, 12, tzinfo=UTC) + timedelta(milliseconds=offset)
    schedule, now, made = record(rule, "all", last=begin, anchor=begin), begin, 0
    for step in steps:
        now += timedelta(seconds=step)
        due = due_at(schedule, now)
        if due is None:
            continue
        assert schedule.last_tick < due.to <= now
        made += due.jobs
        schedule = record(rule, "all", last=due.to, anchor=begin)
    moment, expected = begin, 0
    while (moment := schedule.next_after(moment)) <= now:
        expected += 1
    assert made == expected


def test_rules_read_as_people_say_them_and_survive_being_kept():
    for rule, words in (
        (RuleText(every=90), "every 90 s"),
        (RuleText(cron="0 8 * * mon", tz="Europe/Prague"), "0 8 * * mon (Europe/Prague)"),
    ):
        assert str(rule) == words
        assert decode_rule(encode_rule(rule)) == rule


@pytest.mark.parametrize(
    "rule", [RuleText(), RuleText(cron="0 0 * * *", tz="Mars/Base"), RuleText(every=0.0)]
)
def test_a_rule_that_makes_no_sense_is_named_when_it_is_read(rule):
    with pytest.raises(InvalidOption):
        due_at(record(rule), NOON + HOUR)
