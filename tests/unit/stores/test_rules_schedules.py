"""The last tick of a schedule that is declared."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from mainspring.model.timetable import NewSchedule, RuleText, ScheduleRecord
from mainspring.stores.rules.schedules import last_tick_of

NOW = datetime(2026, 5, 4, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def schedule(seconds):
    rule = RuleText(every=seconds)
    return NewSchedule(name="name", rule=rule, task="task", queue="queue", payload=b"[]")


def known(last, seconds=60.0, **fields):
    return replace(ScheduleRecord(schedule(seconds), EARLIER, last, paused=False), **fields)


def test_a_new_schedule_counts_from_now():
    assert last_tick_of(schedule(60.0), None, NOW) == NOW


def test_the_same_rule_keeps_its_last_tick():
    assert last_tick_of(schedule(60.0), known(EARLIER), NOW) == EARLIER


def test_a_new_rule_has_missed_nothing():
    assert last_tick_of(schedule(30.0), known(EARLIER), NOW) == NOW


def test_a_last_tick_never_goes_back():
    assert last_tick_of(schedule(30.0), known(LATER), NOW) == LATER


def test_a_last_tick_that_cannot_be_read_becomes_now():
    assert last_tick_of(schedule(60.0), known(LATER, unreadable=("last_tick",)), NOW) == NOW
