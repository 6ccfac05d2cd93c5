"""Schedules that are added, changed and removed while a program runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from mainspring import Queue, Unique
from mainspring.errors import (
    DuplicateName,
    InvalidArguments,
    InvalidOption,
    UnknownOption,
)

OF_JOBS = {
    "queue": "chores",
    "priority": 4,
    "unique": "k",
    "expires": 60,
    "retries": 1,
    "timeout": 5,
    "keep_result": timedelta(hours=1),
    "backoff": [1, 2],
    "tags": ["eu", "vip"],
    "metadata": {"customer": 7},
}
TERMS = {
    "unique": "clean: k",
    "expires": 60,
    "retries": 1,
    "timeout": 5,
    "keep_result": 3600,
    "backoff": (1, 2),
}


def kept(queue):
    """Return the schedule `s` as the store has it."""
    return next(one.new for one in queue._store.schedules().schedules if one.new.name == "s")


@pytest.fixture
def memory():
    queue = Queue("memory://", workers=1)
    yield queue
    queue.close()


@pytest.fixture
def clean(memory):
    return memory.task(name="clean")(lambda what="logs", *, deep=False: (what, deep))


class TestAdd:
    def test_a_schedule_is_in_the_store_at_once(self, queue, add):
        added = queue.schedules.add(
            "nightly",
            add,
            cron="0 3 * * *",
            tz="Europe/Prague",
            args=(1,),
            kwargs={"b": 3},
            catch_up="all",
            queue="chores",
            priority=5,
        )
        handle = queue.schedules["nightly"]
        for one in (added, handle):
            assert (one.rule, one.task, one.queue) == ("0 3 * * * (Europe/Prague)", "add", "chores")
            assert (one.args, one.kwargs, one.catch_up) == ((1,), {"b": 3}, "all")
            assert (one.priority, one.added, one.paused) == (5, True, False)
        assert list(queue.schedules) == ["nightly"]
        assert handle.trigger().args == (1,)

    def test_a_name_of_a_task_that_only_workers_know_will_do(self, memory):
        handle = memory.schedules.add("far", "elsewhere", every=timedelta(minutes=1), args=[1])
        assert (handle.task, handle.args, handle.rule) == ("elsewhere", (1,), "every 60 s")

    def test_a_task_brings_what_using_says(self, memory, clean):
        task = clean.using(queue="slow", priority=3, unique="k", expires=60)
        memory.schedules.add("s", task, every=30)
        new = memory._store.schedules().schedules[0].new
        assert (new.queue, new.priority, new.expires) == ("slow", 3, 60.0)
        first = memory.schedules["s"].trigger()
        assert memory.schedules["s"].trigger() == first

    def test_its_jobs_have_the_options_that_using_takes(self, memory, clean):
        memory.schedules.add("s", clean, every=30, **OF_JOBS)
        given = clean.using(**OF_JOBS).delay()
        given.cancel()
        job = memory.schedules["s"].trigger()
        assert job != given
        assert job.record.options == given.record.options
        for name in ("queue", "priority", "tags", "metadata"):
            assert getattr(job, name) == getattr(given, name)
        assert [one.id for one in memory.jobs(tag="vip", status="pending")] == [job.id]

    def test_a_name_is_added_once_unless_it_replaces(self, memory, clean):
        memory.schedules.add("s", clean, every=30)
        with pytest.raises(DuplicateName, match="every 30 s of clean.* replace=True"):
            memory.schedules.add("s", clean, every=60)
        assert memory.schedules["s"].rule == "every 30 s"
        replaced = memory.schedules.add("s", clean, every=60, replace=True)
        assert memory.schedules.add("t", clean, every=5, replace=True).name == "t"
        assert (replaced.rule, len(memory.schedules)) == ("every 60 s", 2)

    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({}, InvalidOption, "cron=None .*expected a cron expression, or give every="),
            ({"cron": "* * * * *", "every": 5}, InvalidOption, "can't be combined with cron"),
            ({"cron": "every day"}, InvalidOption, "schedule 's': cron="),
            ({"cron": "* * * * *", "tz": "Nowhere"}, InvalidOption, "schedule 's': tz="),
            ({"every": 0}, InvalidOption, "schedule 's': every=0"),
            ({"every": 0.01}, InvalidOption, "schedule 's': every=0.01 .*at least 0.1 s"),
            ({"every": 5, "tz": "UTC"}, InvalidOption, "tz='UTC' has no effect without cron"),
            ({"every": 5, "catch_up": "some"}, InvalidOption, "schedule 's': catch_up="),
            ({"every": 5, "args": (1, 2, 3)}, InvalidArguments, "clean"),
            ({"every": 5, "args": "logs"}, InvalidArguments, r"give args=\(\.\.\.\) as a tuple"),
            ({"every": 5, "priority": "high"}, InvalidOption, "priority="),
            ({"every": 5, "delay": 3}, UnknownOption, "has no option 'delay'; it takes cron"),
            ({"every": 5, "retries": -3}, InvalidOption, "retries=-3"),
            ({"every": 5, "tags": "eu"}, InvalidOption, "tags='eu'"),
            ({"every": 5, "backoff": lambda _: 1.0}, InvalidOption, "can't be kept with a job"),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_once(self, memory, clean, options, error, says):
        with pytest.raises(error, match=says):
            memory.schedules.add("s", clean, **options)
        assert list(memory.schedules) == []

    def test_names_are_checked(self, memory, clean):
        with pytest.raises(InvalidOption, match="name=''"):
            memory.schedules.add("", clean, every=5)
        with pytest.raises(InvalidOption, match="task=7"):
            memory.schedules.add("s", 7, every=5)
        with pytest.raises(InvalidOption, match="delay=5.0 is not possible"):
            memory.schedules.add("s", clean.using(delay=5), every=5)

    def test_what_code_declares_is_changed_there(self, memory, clean):
        memory.every(60, name="s")(clean)
        for refused in (
            lambda: memory.schedules.add("s", clean, every=5, replace=True),
            lambda: memory.schedules.change("s", every=5),
            lambda: memory.schedules.remove("s"),
        ):
            with pytest.raises(InvalidOption, match="name='s' is declared by the code"):
                refused()
        assert not memory.schedules["s"].added


class TestChange:
    def test_only_what_is_given_changes(self, queue, add):
        options = {"cron": "0 3 * * *", "tz": "Europe/Prague", "args": (1,), "queue": "chores"}
        queue.schedules.add("s", add, **options, priority=5, expires=60)
        queue.schedules["s"].pause()
        changed = queue.schedules.change("s", cron="0 4 * * *")
        assert (changed.rule, changed.queue) == ("0 4 * * * (Europe/Prague)", "chores")
        assert (changed.args, changed.priority, changed.paused) == ((1,), 5, True)
        queue.schedules.change("s", tz="UTC", kwargs={"b": 9}, priority=-1)
        again = queue.schedules["s"]
        assert (again.rule, again.args, again.kwargs) == ("0 4 * * * (UTC)", (1,), {"b": 9})
        assert (again.priority, again._new().expires, again.added) == (-1, 60.0, True)
        queue.schedules.change("s", every=30, queue="other", catch_up="skip", task="elsewhere")
        assert (again.rule, again.queue, again.task) == ("every 30 s", "other", "elsewhere")

    @pytest.mark.parametrize("rule", ["k", Unique(by="args"), Unique(by="task")])
    def test_a_unique_key_follows_the_arguments_and_the_task(self, memory, clean, rule):
        keyed = clean.using(unique=rule)
        memory.schedules.add("s", keyed, every=30)
        memory.schedules.change("s", args=("cache",))
        assert kept(memory).unique == keyed.unique_key(("cache",), {})
        memory.schedules.change("s", every=60, kwargs={"deep": True})
        assert kept(memory).unique == keyed.unique_key(("cache",), {"deep": True})
        memory.schedules.change("s", task="elsewhere")
        assert kept(memory).unique.startswith('["elsewhere"')
        memory.schedules.change("s", unique=None)
        assert kept(memory).unique is None

    def test_options_of_its_jobs_stay_change_and_go(self, memory, clean):
        memory.schedules.add("s", clean, every=30, **OF_JOBS)
        memory.schedules["s"].pause()
        one = memory.schedules.change("s", every=60)
        assert (one.tags, one.metadata, one.priority) == (("eu", "vip"), {"customer": 7}, 4)
        assert one.options == TERMS
        memory.schedules.change("s", retries=0, tags=["us"])
        assert (one.options, one.tags) == ({**TERMS, "retries": 0}, ("us",))
        memory.schedules.change("s", task=clean.using(retries=5, queue="fast"))
        assert (one.options, one.queue) == ({**TERMS, "retries": 5}, "fast")

    @pytest.mark.parametrize("option", [*OF_JOBS, "args", "kwargs", "catch_up", "tz"])
    def test_none_is_the_default_as_if_it_had_not_been_given(self, memory, clean, option):
        given = {**OF_JOBS, "args": ("x",), "kwargs": {"deep": True}, "catch_up": "all"}
        given |= {"cron": "0 3 * * *", "tz": "Asia/Tokyo", "expires": 60}
        memory.schedules.add("s", clean, **given)
        memory.schedules.change("s", **{option: None})
        changed = kept(memory)
        memory.schedules.add("s", clean, replace=True, **{**given, option: None})
        assert kept(memory) == changed
        memory.schedules.remove("s")
        given.pop(option, None)
        memory.schedules.add("s", clean, **given)
        assert kept(memory) == changed

    def test_a_schedule_needs_a_rule(self, memory, clean):
        memory.schedules.add("s", clean, every=30)
        with pytest.raises(InvalidOption, match="cron=None .*expected a cron expression"):
            memory.schedules.change("s", every=None)
        with pytest.raises(InvalidOption, match="task=None"):
            memory.schedules.change("s", task=None)
        assert memory.schedules.change("s", every=None, cron="0 3 * * *").rule == "0 3 * * * (UTC)"

    def test_an_interval_has_no_time_zone_to_change(self, memory, clean):
        memory.schedules.add("s", clean, every=30)
        with pytest.raises(InvalidOption, match="tz='UTC' has no effect without cron"):
            memory.schedules.change("s", tz="UTC")
        assert memory.schedules.change("s", cron="0 3 * * *", tz="Asia/Tokyo").rule.endswith(
            "Tokyo)"
        )

    def test_what_is_not_there_can_not_be_changed(self, memory, clean):
        with pytest.raises(KeyError, match="nosuch"):
            memory.schedules.change("nosuch", every=5)
        memory.schedules.add("s", clean, every=30)
        with pytest.raises(InvalidOption, match="expected what is to change: cron, every"):
            memory.schedules.change("s")
        with pytest.raises(InvalidArguments, match="clean"):
            memory.schedules.change("s", args=(1, 2, 3))
        assert memory.schedules["s"].args == ()

    def test_a_row_that_other_code_declared_is_replaced_and_not_changed(self, memory, clean):
        memory._store.declare([memory.schedules.add("s", clean, every=30)._new()])
        record = memory._store.schedules().schedules[0].new
        memory._store.declare([type(record)(record.name, record.rule, "clean", "q", b"[[],{}]")])
        with pytest.raises(InvalidOption, match="is declared by code; .*replace=True"):
            memory.schedules.change("s", every=5)
        assert memory.schedules.add("s", clean, every=5, replace=True).added

    def test_a_change_meets_the_change_of_another(self, memory, clean, monkeypatch):
        memory.schedules.add("s", clean, every=30)
        swap, others = memory._store.swap_schedule, []

        def late(new, *, expected):
            if not others:
                others.append(memory._store.forget_schedule("s"))
                swap(
                    expected.__class__("s", expected.rule, "clean", "q", b"[[],{}]", 9, added=True),
                    expected=None,
                )  # one call
            return swap(new, expected=expected)

        monkeypatch.setattr(memory._store, "swap_schedule", late)
        changed = memory.schedules.change("s", every=5)
        assert (changed.rule, changed.priority) == ("every 5 s", 9)


def test_what_was_removed_is_gone(queue, add):
    queue.schedules.add("s", add, every=30, args=(1,))
    assert queue.schedules.remove("s")
    assert not queue.schedules.remove("s")
    assert "s" not in queue.schedules
    assert queue.schedules.add("s", add, every=60, args=(1,)).rule == "every 60 s"


def test_a_running_worker_ticks_what_is_added_and_nothing_that_was_removed(queue, add, eventually):
    with queue.worker():
        queue.schedules.add("fast", add, every=0.1, args=(1,))
        eventually(lambda: queue.stats()["completed"] >= 2)
        queue.schedules.remove("fast")
        queue.schedules.add("other", "of-nobody-here", every=0.1)
        eventually(lambda: queue.stats()["pending"] == 0)
        done = queue.stats()["completed"]
        with_margin = add.delay(1)
        with_margin.result(timeout=10)
    assert queue.stats()["completed"] <= done + 2
    assert len(queue.jobs(task="of-nobody-here")) == 0


def test_the_clock_of_a_test_makes_its_ticks(memory, clean):
    with memory.testing() as kit:
        memory.schedules.add("s", clean, every=60)
        kit.advance(minutes=3)
        kit.run()
        assert len(kit.jobs(task=clean)) == 3
        memory.schedules.change("s", every=600)
        kit.advance(minutes=6)  # the grid of an interval stays where it was
        assert len(kit.jobs(task=clean)) == 3
        kit.advance(minutes=1)
        assert len(kit.jobs(task=clean)) == 4


def test_all_are_listed_in_one_read(memory, clean, monkeypatch):
    memory.every(60, name="of-code")(clean)
    for number in range(3):
        memory.schedules.add(f"s{number}", clean, every=30, args=(str(number),))
    reads, read = [], memory._store.schedules
    monkeypatch.setattr(memory._store, "schedules", lambda: reads.append(1) or read())
    listed = memory.schedules.list()
    shown = [(one.name, one.rule, one.args, one.paused, one.added, one.next()) for one in listed]
    assert len(reads) == 1
    assert [name for name, *_ in shown] == ["of-code", "s0", "s1", "s2"]
    assert [added for *_, added, _ in shown] == [False, True, True, True]
    assert listed[1].pause()
    assert listed[1].paused


def test_twins_do_what_the_calls_do(memory, clean):
    async def look():
        added = await memory.schedules.aadd("s", clean, every=30)
        assert (await memory.schedules.achange("s", every=5)).rule == "every 5 s"
        assert [one.name for one in await memory.schedules.alist()] == ["s"]
        assert await memory.schedules.aremove("s")
        assert not await memory.schedules.aremove("s")
        return added.name

    assert asyncio.run(look()) == "s"
