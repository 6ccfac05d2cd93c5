"""Declaring schedules, and looking at them; who ticks them is told elsewhere."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mainspring import Unique
from mainspring.engine import consumer
from mainspring.errors import (
    DuplicateName,
    InvalidArguments,
    InvalidOption,
    TaskNotImportable,
    UnknownOption,
)
from mainspring.model.timetable import NewSchedule, RuleText
from mainspring.queue.queue_task import QueueTask


def clean(days=7, *, deep=False):
    return days


class TestDeclaring:
    def test_a_function_becomes_a_task_with_a_schedule(self, queue):
        task = queue.cron("*/5 * * * *", tz="Europe/Prague", queue="chores", priority=5, retries=0)(
            clean
        )
        assert isinstance(task, QueueTask)
        assert (task.task.queue, task.task.retries, task(3)) == ("chores", 0, 3)
        (declared,) = queue.schedules.declared
        assert declared == NewSchedule(
            task.name,
            RuleText(cron="*/5 * * * *", tz="Europe/Prague"),
            task.name,
            "chores",
            b"[[],{}]",
            5,
            "one",
        )

    def test_a_task_gets_as_many_schedules_as_have_names(self, queue, add):
        again = queue.every(30, args=(1,))(
            queue.cron("0 3 * * *", name="nightly", args=[2], kwargs={"b": 3}, catch_up="all")(add)
        )
        assert again is add
        assert list(queue.schedules) == ["add", "nightly"]
        nightly = queue.schedules["nightly"]
        assert (nightly.task, nightly.args, nightly.kwargs) == ("add", (2,), {"b": 3})
        assert (nightly.rule, nightly.catch_up) == ("0 3 * * * (UTC)", "all")
        assert queue.schedules["add"].rule == "every 30 s"

    def test_jobs_stand_where_using_says(self, queue, add):
        queue.every(30, args=(1,))(add.using(queue="slow", priority=9))
        (declared,) = queue.schedules.declared
        assert (declared.queue, declared.priority) == ("slow", 9)

    def test_a_function_that_is_found_nowhere_has_the_schedules_name(self, queue):
        task = queue.every(30, name="tick")(lambda: None)
        assert (task.name, list(queue.schedules)) == ("tick", ["tick"])
        with pytest.raises(TaskNotImportable, match="name="):
            queue.every(30)(lambda: None)

    def test_two_of_one_name_are_refused(self, queue, add):
        queue.every(30, args=(1,))(add)
        with pytest.raises(DuplicateName, match="two schedules are named 'add'.*name="):
            queue.cron("0 3 * * *", args=(1,))(add)
        with pytest.raises(DuplicateName, match="two schedules"):
            queue.every(30, name="add")(clean)

    def test_a_module_that_is_loaded_again_declares_anew(self, queue):
        text = "def chore(): ...\nimport types"
        for seconds in (30, 60):
            loaded = {"__name__": "chores"}
            exec(text, loaded)
            queue.every(seconds)(loaded["chore"])
        assert [declared.rule.every for declared in queue.schedules.declared] == [60]

    @pytest.mark.parametrize("seconds", [30, 30.0, timedelta(seconds=30)])
    def test_an_interval_is_seconds_or_a_timedelta(self, queue, add, seconds):
        queue.every(seconds=seconds, args=(1,))(add)
        assert queue.schedules.declared[0].rule == RuleText(every=30.0)

    @pytest.mark.parametrize("tz", ["Europe/Prague", ZoneInfo("Europe/Prague")])
    def test_a_zone_is_a_name_or_a_zoneinfo(self, queue, add, tz):
        queue.cron("0 3 * * *", tz=tz, args=(1,))(add)
        assert queue.schedules.declared[0].rule.tz == "Europe/Prague"

    @pytest.mark.parametrize(
        ("given", "option"),
        [
            ({"expression": "* * *"}, "cron"),
            ({"expression": "61 * * * *"}, "cron"),
            ({"expression": "0 0 30 2 *"}, "cron"),
            ({"expression": ""}, "cron"),
            ({"expression": None}, "cron"),
            ({"expression": 5}, "cron"),
            ({"tz": "Mars/Olympus"}, "tz"),
            ({"tz": ""}, "tz"),
            ({"tz": 5}, "tz"),
            ({"tz": "../../etc/passwd"}, "tz"),
            ({"catch_up": "some"}, "catch_up"),
            ({"name": ""}, "name"),
            ({"name": 5}, "name"),
        ],
    )
    def test_a_senseless_value_is_named_before_anything_is_registered(self, queue, given, option):
        with pytest.raises(InvalidOption, match=f"schedule.*{option}="):
            queue.cron(**{"expression": "0 3 * * *", **given})(clean)
        assert (queue.tasks, len(queue.schedules)) == ((), 0)

    @pytest.mark.parametrize(
        "seconds", [0, -1, "30", float("nan"), float("inf"), 0.01, timedelta(0), True, None]
    )
    def test_a_senseless_interval_is_named(self, queue, seconds):
        with pytest.raises(InvalidOption, match="schedule 'beat': seconds="):
            queue.every(seconds, name="beat")

    def test_an_unknown_option_is_named(self, queue):
        with pytest.raises(UnknownOption, match="'catchup'.*catch_up"):
            queue.cron("0 3 * * *", catchup="all")
        with pytest.raises(UnknownOption, match="'second'"):
            queue.every(5, second=3)

    def test_an_option_of_the_task_belongs_to_its_registration(self, queue, add):
        with pytest.raises(InvalidOption, match=r"'add': retries=5.*@queue\.task"):
            queue.every(30, args=(1,), retries=5)(add)

    def test_a_senseless_option_of_the_task_is_named(self, queue):
        with pytest.raises(InvalidOption, match="retries=-1"):
            queue.every(30, retries=-1)(clean)

    @pytest.mark.parametrize(
        ("args", "kwargs", "says"),
        [
            ((), {}, "missing"),
            ((1, 2, 3), {}, "too many"),
            ((1,), {"c": 1}, "unexpected"),
            ((object(),), {}, "object"),
            (1, {}, "tuple"),
            ("1", {}, "tuple"),
            ((1,), [1], "dict"),
        ],
    )
    def test_arguments_are_checked_then(self, queue, add, args, kwargs, says):
        with pytest.raises(InvalidArguments, match=says):
            queue.every(30, args=args, kwargs=kwargs)(add)
        assert queue.schedules.declared == ()

    @pytest.mark.parametrize(
        "using",
        [
            {"delay": 5},
            {"idempotency_key": "k"},
            {"run_at": datetime(2100, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_terms_that_its_jobs_cannot_have_are_refused(self, queue, add, using):
        with pytest.raises(InvalidOption, match=f"schedule 'add': {next(iter(using))}="):
            queue.every(30, args=(1,))(add.using(**using))

    @pytest.mark.parametrize(
        "unique", [Unique(by="args"), Unique(by="task", on_conflict="raise"), "a key"]
    )
    def test_its_jobs_have_the_unique_key_and_the_expiry_of_the_task(self, queue, add, unique):
        by_hand = add.using(unique=unique, expires=5)
        queue.every(30, args=(1,), kwargs={"b": 2})(by_hand)
        (declared,) = queue.schedules.declared
        job = by_hand.call(1, 2).job
        assert (declared.unique, declared.expires) == (job.unique, 5.0)
        live = by_hand.delay(1, 2)
        assert queue.schedules["add"].trigger() == live
        assert live.record.expires_at == live.created_at + timedelta(seconds=5)

    def test_a_function_may_forbid_its_jobs_to_overlap(self, queue):
        queue.every(30, unique=Unique(by="task"))(clean)
        schedule = queue.schedules[queue.schedules.declared[0].name]
        first = schedule.trigger()
        assert schedule.trigger() == first
        assert first.cancel()
        assert schedule.trigger() != first

    def test_what_is_no_function_is_refused(self, queue):
        with pytest.raises(InvalidOption, match="function="):
            queue.every(30)(5)


class TestLooking:
    @pytest.fixture
    def nightly(self, queue, add):
        queue.cron("0 3 * * *", tz="Europe/Prague", name="nightly", args=(1,))(add)
        return queue.schedules["nightly"]

    def test_before_a_worker_has_come_it_is_as_declared(self, queue, nightly):
        assert (nightly.last_tick, nightly.paused, nightly.queue) == (None, False, "default")
        first, second = nightly.next(2)
        prague = first.astimezone(ZoneInfo("Europe/Prague"))
        assert (prague.hour, prague.minute) == (3, 0)
        assert first.tzinfo is UTC
        assert timedelta(hours=23) <= second - first <= timedelta(hours=25)

    def test_what_the_store_has_is_what_counts(self, queue, nightly):
        newer = RuleText(every=60.0)
        queue._store.declare([NewSchedule("nightly", newer, "add", "other", b"[[7],{}]", 3)])
        assert (nightly.rule, nightly.queue, nightly.priority) == ("every 60 s", "other", 3)
        assert nightly.args == (7,)
        assert nightly.last_tick is None
        assert queue._store.schedules().now < nightly.next()[0]

    def test_schedules_of_other_programs_are_there_too(self, queue):
        queue._store.declare(
            [NewSchedule("theirs", RuleText(every=60.0), "x", "default", b"[[],{}]")]
        )
        assert list(queue.schedules) == ["theirs"]
        assert queue.schedules.declared == ()
        theirs = queue.schedules["theirs"]
        assert theirs.forget()
        assert not theirs.forget()
        with pytest.raises(LookupError, match="theirs"):
            _ = theirs.rule
        assert "theirs" not in queue.schedules
        with pytest.raises(KeyError):
            queue.schedules["theirs"]

    def test_it_can_be_paused_before_a_worker_has_come(self, queue, nightly):
        assert (nightly.resume(), nightly.pause(), nightly.pause()) == (False, True, False)
        assert nightly.paused
        queue._store.declare(queue.schedules.declared)
        assert nightly.paused
        assert (nightly.resume(), nightly.paused) == (True, False)

    def test_a_trigger_is_one_job_now_and_no_tick(self, queue, nightly):
        queue._store.declare(queue.schedules.declared)
        last = nightly.last_tick
        job = nightly.trigger()
        assert (job.task, job.args, nightly.last_tick) == ("add", (1,), last)
        with queue.worker():
            assert job.result(timeout=10) == 3

    def test_next_gives_the_times_that_follow(self, queue, add):
        queue.every(30, name="beat", args=(1,))(add)
        times = queue.schedules["beat"].next(5)
        assert len(times) == 5
        assert {later - sooner for sooner, later in itertools.pairwise(times)} == {
            timedelta(seconds=30)
        }
        for count in (0, 1001, "2", True):
            with pytest.raises(InvalidOption, match="count="):
                queue.schedules["beat"].next(count)

    def test_workers_are_given_what_is_declared(self, queue, nightly, monkeypatch):
        given = []
        real = consumer.Consumer

        def spy(config):
            given.append(config.schedules)
            return real(config)

        monkeypatch.setattr(consumer, "Consumer", spy)
        queue._consumers.new_consumer(None)
        assert given == [tuple(queue.schedules.declared)]
