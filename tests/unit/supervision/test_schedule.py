from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from mainspring.errors import InvalidOption
from mainspring.model.schedule import AnyOf, Cron, Every

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PRAGUE = ZoneInfo("Europe/Prague")


def following(schedule, moment, count):
    found = []
    while len(found) < count:
        moment = schedule.next_after(moment)
        found.append(moment)
    return found


def test_every_is_due_strictly_after_the_moment():
    assert Every(60).next_after(NOON) == NOON + timedelta(seconds=60)


def test_every_keeps_to_the_grid_through_its_start():
    schedule = Every(90, start=NOON + timedelta(seconds=10))
    assert schedule.next_after(NOON) == NOON + timedelta(seconds=10)
    assert schedule.next_after(NOON + timedelta(seconds=11)) == NOON + timedelta(seconds=100)


def test_every_with_fractions_does_not_drift():
    assert following(Every(0.1, start=NOON), NOON, 36_000)[-1] == NOON + timedelta(hours=1)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_every_needs_seconds_above_zero(seconds):
    with pytest.raises(InvalidOption, match="seconds"):
        Every(seconds)


def test_cron_goes_by_its_time_zone():
    due = Cron("30 9 * * *", tz="Europe/Prague").next_after(NOON)
    assert due == datetime(2026, 5, 2, 7, 30, tzinfo=UTC)


def test_cron_without_a_zone_is_utc():
    assert Cron("*/5 * * * *").next_after(NOON) == NOON + timedelta(minutes=5)


@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "*/30 * * * *", "0 * * * *", "15 1,2,3 * * *"]
)
@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 28, 22, tzinfo=PRAGUE), datetime(2026, 10, 24, 22, tzinfo=PRAGUE)]
)
def test_cron_asked_tick_by_tick_keeps_debians_rules_when_clocks_change(expression, start):
    wanted = [one.astimezone(UTC) for one in islice(CronSim(expression, start), 20)]
    assert following(Cron(expression, tz="Europe/Prague"), start, 20) == wanted


def test_cron_at_a_fixed_time_runs_once_on_the_day_with_two_of_it():
    start = datetime(2026, 10, 24, 12, tzinfo=PRAGUE)
    runs = following(Cron("30 2 * * *", tz=PRAGUE), start, 3)
    assert [one.astimezone(PRAGUE).day for one in runs] == [25, 26, 27]


@pytest.mark.parametrize("expression", ["", "* * *", "61 * * * *", "* * 30 2 *", None])
def test_a_wrong_expression_is_named(expression):
    with pytest.raises(InvalidOption) as caught:
        Cron(expression)
    assert caught.value.option == "cron"


@pytest.mark.parametrize("tz", ["Europe/Atlantis", "", "../etc/passwd", 5])
def test_a_wrong_time_zone_is_named(tz):
    with pytest.raises(InvalidOption) as caught:
        Cron("* * * * *", tz=tz)
    assert caught.value.option == "tz"


def test_any_of_is_due_whenever_one_is_and_once_when_two_are():
    schedule = AnyOf((Every(120, start=NOON), Every(180, start=NOON)))
    minutes = [(one - NOON).total_seconds() / 60 for one in following(schedule, NOON, 5)]
    assert minutes == [2, 3, 4, 6, 8]


def test_any_of_none_is_refused():
    with pytest.raises(InvalidOption, match="schedules"):
        AnyOf(())


def test_any_of_leaves_out_what_is_never_due_again():
    class Never:
        def next_after(self, moment):
            return None

    assert AnyOf((Never(), Every(60))).next_after(NOON) == NOON + timedelta(seconds=60)
    assert AnyOf((Never(),)).next_after(NOON) is None
