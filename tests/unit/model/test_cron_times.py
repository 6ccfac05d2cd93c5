"""Cron in time zones, read forwards and backwards, against a search through every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from mainspring.model.cron_times import has_fixed_times
from mainspring.model.schedule import Cron, Every

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

CHANGES = {
    "Europe/Prague": [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)],
    "America/New_York": [datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)],
    "Australia/Lord_Howe": [
        datetime(2026, 4, 4, 12, tzinfo=UTC),
        datetime(2026, 10, 3, 12, tzinfo=UTC),
    ],
    "Africa/Casablanca": [datetime(2026, 2, 15, tzinfo=UTC), datetime(2026, 3, 22, tzinfo=UTC)],
    "America/St_Johns": [datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)],
    "Pacific/Apia": [datetime(2011, 12, 30, tzinfo=UTC)],
    "Asia/Kathmandu": [datetime(2026, 3, 29, tzinfo=UTC)],
    "UTC": [datetime(2026, 3, 29, tzinfo=UTC)],
}
"""Zones, each with days on which its clock is set on or back, or is not."""

EXPRESSIONS = [
    "30 2 * * *",
    "0 0 * * *",
    "45 1 * * *",
    "15,45 1,2,3 * * *",
    "0 2 * * sun",
    "7 0-3 1 * *",
    "*/15 * * * *",
    "0 * * * *",
    "*/10 3 * * *",
    "5 */2 * * *",
    "*/30 1-3 * * 0",
    "15 30 2 * * *",
]


def matches(expression, begin, end):
    """The matching times of a calendar without a zone."""
    found = set()
    for shown in CronSim(expression, begin.replace(tzinfo=None) - MINUTE):
        if shown >= end.replace(tzinfo=None):
            return found
        found.add(shown)
    return found


def shown_in(zone, moment):
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def ticks(expression, zone, begin, end):
    """Every tick from `begin` up to `end`, by the rule as the docs say it."""
    found = matches(expression, begin - 2 * DAY, end + 2 * DAY)
    if not has_fixed_times(expression):
        step = MINUTE if len(expression.split()) == 5 else MINUTE / 4
        moments = (begin + step * number for number in range((end - begin) // step))
        return [moment for moment in moments if shown_in(zone, moment) in found]
    instants = set()
    for shown in found:
        late = shown
        while shown_in(zone, late.replace(tzinfo=zone).astimezone(UTC)) != late:
            late += MINUTE
        instants.add(late.replace(tzinfo=zone).astimezone(UTC))
    return sorted(one for one in instants if begin <= one < end)


def forwards(rule, begin, end):
    found, moment = [], begin - MICROSECOND
    while (moment := rule.next_after(moment)) is not None and moment < end:
        found.append(moment)
    return found


def backwards(rule, begin, end):
    found, moment = [], end - MICROSECOND
    while (moment := rule.last_until(moment)) is not None and moment >= begin:
        found.append(moment)
        moment -= MICROSECOND
    return found[::-1]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("zone", CHANGES)
def test_a_clock_that_changes_moves_ticks_by_the_rule_read_both_ways(zone, expression):
    rule = Cron(expression, tz=zone)
    for day in CHANGES[zone]:
        begin, end = day - DAY / 2, day + DAY
        expected = ticks(expression, ZoneInfo(zone), begin, end)
        assert forwards(rule, begin, end) == expected
        assert backwards(rule, begin, end) == expected


@pytest.mark.parametrize("zone", CHANGES)
def test_asked_at_any_moment_the_answers_are_the_ticks_next_to_it(zone):
    for expression in EXPRESSIONS[:-1]:
        rule = Cron(expression, tz=zone)
        for day in CHANGES[zone]:
            begin, end = day - DAY, day + 2 * DAY
            expected = ticks(expression, ZoneInfo(zone), begin, end)
            for step in range(90):
                moment = begin + DAY / 3 + step * timedelta(minutes=17, seconds=7, microseconds=3)
                later = [one for one in expected if one > moment]
                earlier = [one for one in expected if one <= moment]
                assert not later or rule.next_after(moment) == later[0]
                assert not earlier or rule.last_until(moment) == earlier[-1]


def test_in_the_second_of_two_equal_hours_a_fixed_time_is_past():
    moment = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 in Prague, for the second time
    rule = Cron("30 2 * * *", tz="Europe/Prague")
    assert rule.last_until(moment) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert rule.next_after(moment) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_fixed_time_that_a_change_leaves_out_is_at_the_end_of_the_gap():
    rule = Cron("30 2 * * *", tz="Europe/Prague")
    found = rule.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_time_that_a_whole_day_was_left_out_of_is_at_its_end():
    rule = Cron("0 12 * * *", tz="Pacific/Apia")  # there was no 30 December 2011
    found = forwards(
        rule, datetime(2011, 12, 29, 20, tzinfo=UTC), datetime(2011, 12, 31, 20, tzinfo=UTC)
    )
    assert found == [
        datetime(2011, 12, 29, 22, tzinfo=UTC),
        datetime(2011, 12, 30, 10, tzinfo=UTC),
        datetime(2011, 12, 30, 22, tzinfo=UTC),
    ]


def test_where_a_clock_changes_by_half_an_hour_nothing_is_skipped():
    rule = Cron("*/10 3 * * *", tz="Australia/Lord_Howe")
    found = rule.next_after(datetime(2026, 4, 4, 15, 15, tzinfo=UTC))
    assert found == datetime(2026, 4, 4, 16, 30, tzinfo=UTC)


def test_leap_days_are_found_both_ways():
    rule = Cron("0 12 29 2 *", tz="Europe/Prague")
    days = [one.year for one in forwards(rule, NOON, datetime(2045, 1, 1, tzinfo=UTC))]
    assert days == [2028, 2032, 2036, 2040, 2044]
    assert rule.last_until(NOON) == datetime(2024, 2, 29, 11, tzinfo=UTC)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(10**9 * 10**6, 28 * 10**8 * 10**6).map(lambda one: EPOCH + one * MICROSECOND)
times = st.builds(
    lambda *fields: " ".join(fields),
    st.sampled_from(["0", "30", "*/15", "7,37", "59", "*"]),
    st.sampled_from(["*", "2", "0-3", "*/2", "1,2", "23"]),
    st.sampled_from(["*", "1", "29", "L"]),
    st.sampled_from(["*", "2", "3,10"]),
    st.sampled_from(["*", "0", "mon-fri"]),
)


@given(times, st.sampled_from(sorted(CHANGES)), moments)
def test_the_last_tick_up_to_a_moment_is_the_one_that_no_other_follows(expression, zone, moment):
    rule = Cron(expression, tz=zone)
    last = rule.last_until(moment)
    assert last <= moment
    following = rule.next_after(last)
    assert following > moment
    assert rule.last_until(following) == following
    assert rule.last_until(following - MICROSECOND) == last


@given(st.floats(1e-6, 1e9), moments, moments)
def test_of_an_interval_too(seconds, anchor, moment):
    rule = Every(seconds, start=anchor)
    last, following = rule.last_until(moment), rule.next_after(moment)
    step = timedelta(seconds=seconds)
    assert last <= moment < following
    assert following - last == step
    assert (last - anchor) % step == timedelta()
