"""Ticks: once each, on time, by the store's clock, whatever other processes and the store do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.engine import scheduler as module
from mainspring.engine.scheduler import Scheduler
from mainspring.errors import InvalidOption, StoreBusy
from mainspring.model.events import ScheduleTicked
from mainspring.model.timetable import NewSchedule, RuleText
from mainspring.model.view import JobFilter
from mainspring.stores.memory import MemoryStore
from mainspring.stores.sqlite import SqliteStore
from mainspring.testing.clock import START, FrozenClock

LOOK_SECONDS = 60.0
"""A long one, so that what is planned is the time of a tick."""

BUSY = StoreBusy("jobs.db", 30.0, "somebody")
BEGIN = datetime.fromtimestamp(START, UTC)  # 08:00:00, on a full minute


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, clock, tmp_path):
    if request.param == "memory":
        yield MemoryStore(clock=clock)
        return
    store = SqliteStore(tmp_path / "jobs.db", clock=clock)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch):
    """What a scheduler plans is then the seconds it waits."""
    monkeypatch.setattr(module, "monotonic", lambda: 0.0)
    monkeypatch.setattr(module, "LOOK_SECONDS", LOOK_SECONDS)


class Office:
    """A scheduler, what it told, and what it planned."""

    def __init__(self, store, *schedules):
        self.told = []
        self.plans = []
        self._scheduler = Scheduler(
            store, schedules, {"known"}, self.told.append, self.plans.append
        )

    def turn(self):
        self._scheduler.turn()
        return self.wait

    def ask_for_a_look(self):
        self._scheduler.declare(())

    @property
    def wait(self):
        return self.plans[-1]


def schedule(name="s", catch_up="one", task="t", *, added=False, **rule):
    rule = RuleText(**(rule or {"every": 60.0}))
    return NewSchedule(name, rule, task, "default", b"[[],{}]", 3, catch_up, added=added)


def jobs(store):
    return store.jobs(JobFilter(), limit=2_000)


def test_it_ticks_when_due_and_sleeps_until_then(store, clock):
    office = Office(store, schedule(every=40.0))
    assert office.turn() == 40
    clock.advance(15)
    assert office.turn() == 25
    assert jobs(store) == []
    clock.advance(25)
    assert office.turn() == 40
    assert [(job.task, job.queue, job.priority) for job in jobs(store)] == [("t", "default", 3)]
    assert office.turn() == 40
    assert len(jobs(store)) == 1


def test_each_tick_is_told(store, clock):
    office = Office(store, schedule())
    office.turn()
    clock.advance(60)
    office.turn()
    tick = BEGIN + timedelta(seconds=60)
    assert office.told == [ScheduleTicked("s", tick, (jobs(store)[0].id,))]


def test_it_looks_every_few_seconds_even_if_nothing_is_due_for_long(store):
    assert Office(store, schedule(cron="0 0 1 1 *")).turn() == LOOK_SECONDS
    assert Office(store, schedule(every=86_400.0)).turn() == LOOK_SECONDS


def test_it_sleeps_until_the_first_of_several(store):
    office = Office(store, schedule("a", every=50.0), schedule("b", every=7.5))
    assert office.turn() == 7.5


def test_a_look_that_is_asked_for_during_a_turn_follows_at_once(store, monkeypatch):
    """As when a schedule is added right after the store was read."""
    office = Office(store)
    read = store.schedules
    added = schedule("late", task="known", added=True, every=7.0)

    def read_before_it_is_added():
        timetable = read()
        if not timetable.schedules:
            store.swap_schedule(added, expected=None)
            office.ask_for_a_look()
        return timetable

    monkeypatch.setattr(store, "schedules", read_before_it_is_added)
    assert office.turn() == 0
    assert office.turn() == 7


def test_two_schedulers_make_each_tick_once(store, clock):
    offices = [Office(store, schedule(every=10.0)) for _ in range(2)]
    for _ in range(20):
        for office in offices:
            office.turn()
        clock.advance(10)
    told = [event.tick for office in offices for event in office.told]
    assert len(jobs(store)) == 19
    assert len(set(told)) == len(told) == 19


def test_two_that_saw_the_same_tick_due_make_it_once(store, clock, make_trouble):
    slow = make_trouble(store)

    def other_is_faster(*args, **kwargs):
        store.tick(*args, **kwargs)

    slow.raises["tick"] = other_is_faster
    office = Office(slow, schedule())
    office.turn()
    clock.advance(60)
    assert office.turn() == 60
    assert office.told == []
    assert len(jobs(store)) == 1


@pytest.mark.parametrize(("catch_up", "made"), [("one", 1), ("all", 180), ("skip", 0)])
def test_ticks_missed_while_nobody_ran_are_made_by_the_policy(store, clock, catch_up, made):
    rule = schedule(catch_up=catch_up)
    Office(store, rule).turn()
    clock.advance(3 * 3600 + 30)
    office = Office(store, rule)
    assert office.turn() == 30
    assert len(jobs(store)) == made
    assert [len(event.job_ids) for event in office.told] == [made]
    assert office.turn() == 30
    assert len(jobs(store)) == made


def test_a_tick_that_meets_a_live_job_of_its_key_adds_none(store, clock):
    rule = replace(schedule(catch_up="all"), unique="k", expires=90.0)
    office = Office(store, rule)
    office.turn()
    for minutes in (1, 3):
        clock.advance(60 * minutes)
        office.turn()
    (live,) = jobs(store)
    assert live.expires_at == live.created_at + timedelta(seconds=90)
    assert {job_id for event in office.told for job_id in event.job_ids} == {live.id}
    assert store.cancel([live.id]) == [True]
    clock.advance(60)
    office.turn()
    assert len(jobs(store)) == 2


def test_a_new_schedule_has_missed_nothing(store, clock):
    clock.advance(1e6)
    Office(store, schedule(catch_up="all")).turn()
    assert jobs(store) == []


@pytest.mark.parametrize("verb", ["declare", "schedules", "tick"])
def test_a_store_that_raises_costs_no_tick(store, clock, verb, make_trouble):
    troubled = make_trouble(store)
    office = Office(troubled, schedule())
    if verb != "declare":
        office.turn()
        clock.advance(60)
    troubled.raises[verb] = BUSY
    for _ in range(2):
        with pytest.raises(StoreBusy):
            office.turn()
        assert office.wait == 0
    troubled.raises.clear()
    office.turn()
    assert len(jobs(store)) == (verb != "declare")
    clock.advance(60)
    office.turn()
    assert len(jobs(store)) == 1 + (verb != "declare")


def test_a_paused_schedule_does_not_tick_and_a_resumed_one_goes_on_from_now(store, clock):
    office = Office(store, schedule(catch_up="all"))
    office.turn()
    store.pause_schedule("s")
    clock.advance(600)
    assert office.turn() == LOOK_SECONDS
    clock.advance(25)
    store.resume_schedule("s")
    assert office.turn() == 35
    assert jobs(store) == []
    clock.advance(35)
    office.turn()
    assert len(jobs(store)) == 1


def test_a_clock_set_back_makes_no_tick_again(store, clock):
    office = Office(store, schedule(every=30.0))
    office.turn()
    clock.advance(30)
    office.turn()
    clock.jump(-3600)
    for _ in range(119):
        assert office.turn() <= LOOK_SECONDS
        clock.advance(30)
    assert len(jobs(store)) == 1
    clock.advance(60)
    office.turn()
    assert len(jobs(store)) == 2


def test_a_clock_set_on_an_hour_makes_up_for_it_by_the_policy(store, clock):
    office = Office(store, schedule(every=30.0))
    office.turn()
    clock.jump(3600 + 20)
    assert office.turn() == 10
    assert len(jobs(store)) == 1


def test_what_others_declare_is_theirs_to_tick(store, clock):
    theirs, ours = Office(store, schedule("theirs", task="x")), Office(store, schedule("ours"))
    theirs.turn()
    ours.turn()
    clock.advance(60)
    ours.turn()
    assert [job.task for job in jobs(store)] == ["t"]


def test_what_was_added_is_ticked_by_whoever_knows_its_task(store, clock):
    office = Office(store)
    for name in ("known", "unknown"):
        assert store.swap_schedule(schedule(name, task=name, added=True), expected=None)
    store.declare([schedule("theirs", task="known")])
    assert office.turn() == 60
    clock.advance(60)
    office.turn()
    assert [job.task for job in jobs(store)] == ["known"]
    store.forget_schedule("known")
    clock.advance(60)
    assert office.turn() == LOOK_SECONDS
    assert len(jobs(store)) == 1


def test_a_schedule_that_was_forgotten_ticks_again_when_it_is_declared_anew(store, clock):
    office = Office(store, schedule())
    office.turn()
    store.forget_schedule("s")
    clock.advance(60)
    assert office.turn() == LOOK_SECONDS
    assert jobs(store) == []
    again = Office(store, schedule())
    again.turn()
    clock.advance(60)
    again.turn()
    assert len(jobs(store)) == 1


def test_the_rule_that_the_store_holds_counts_so_versions_agree(store, clock):
    old = Office(store, schedule(every=10.0))
    old.turn()
    new = Office(store, schedule(every=40.0, task="new"))
    new.turn()
    clock.advance(10)
    assert old.turn() == 30
    assert jobs(store) == []
    clock.advance(30)
    old.turn()
    new.turn()
    assert [job.task for job in jobs(store)] == ["new"]


def test_a_rule_that_cannot_be_read_holds_up_no_other_and_is_told_once(store, clock):
    office = Office(store, schedule("a", cron="0 0 * * *", tz="Mars/Base"), schedule("b"))
    with pytest.raises(InvalidOption, match="Mars/Base"):
        office.turn()
    assert office.wait == 60
    clock.advance(60)
    office.turn()
    assert len(jobs(store)) == 1


def test_an_interval_of_a_tenth_of_a_second_keeps_its_grid(store, clock):
    office = Office(store, schedule(every=0.1, catch_up="one"))
    office.turn()
    for late in (0.0, 0.03, 0.07, 0.01) * 5:
        clock.advance(office.wait + late)
        office.turn()
    ticks = [(event.tick - BEGIN) / timedelta(seconds=0.1) for event in office.told]
    assert ticks == list(range(1, 21))


steps = st.lists(st.tuples(st.sampled_from("tjpr"), st.floats(0.01, 400)), max_size=30)


@settings(max_examples=60)
@given(steps)
def test_whatever_the_clock_and_people_do_each_tick_is_made_at_most_once(steps):
    clock = FrozenClock()
    store = MemoryStore(clock=clock)
    offices = [Office(store, schedule(every=30.0, catch_up="all")) for _ in range(2)]
    for number, (what, seconds) in enumerate(steps):
        offices[number % 2].turn()
        if what == "t":
            clock.advance(seconds)
        elif what == "j":
            clock.jump(seconds - 200)
        elif what == "p":
            store.pause_schedule("s")
        else:
            store.resume_schedule("s")
    told = [event for office in offices for event in office.told]
    ticks = [event.tick for event in told]
    assert len(set(ticks)) == len(ticks)
    assert len(jobs(store)) == sum(len(event.job_ids) for event in told)
    assert all((tick - BEGIN) % timedelta(seconds=30) == timedelta() for tick in ticks)
