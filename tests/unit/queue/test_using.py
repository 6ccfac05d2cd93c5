"""What an enqueuing may be told: unique keys, expiry, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import PickleCodec, Unique
from mainspring.errors import (
    DuplicateJob,
    InvalidArguments,
    InvalidOption,
    JobCancelled,
    JobExpired,
)


def pending(queue):
    return queue.stats()["pending"]


class TestUniqueKeys:
    def test_a_second_job_of_a_key_is_the_live_one(self, queue, add):
        one = add.using(unique="k").delay(1, 2)
        assert add.using(unique="k").delay(3, 4) == one
        assert one.args == (1, 2)
        assert add.using(unique="other").delay(1, 2) != one
        assert pending(queue) == 2

    def test_a_key_is_free_again_when_its_job_has_ended(self, queue, add):
        one = add.using(unique="k").delay(1)
        with queue.worker():
            assert one.result(timeout=10) == 3
        assert add.using(unique="k").delay(1) != one

    def test_a_key_belongs_to_its_task(self, queue, add):
        other = queue.task(name="other")(lambda: None)
        assert add.using(unique="k").delay(1).task == "add"
        assert other.using(unique="k").delay().task == "other"
        assert pending(queue) == 2

    @pytest.mark.parametrize(
        ("first", "second"),
        [(("a", 'b","key","c'), ('a","key","b', "c")), (("a", "b"), ("ab", ""))],
    )
    def test_no_name_and_key_read_like_those_of_another_task(self, queue, first, second):
        jobs = [
            queue.task(name=name)(lambda: None).using(unique=key or "x").delay()
            for name, key in (first, second)
        ]
        assert jobs[0] != jobs[1]

    def test_raise_names_the_job_in_the_way(self, add):
        one = add.using(unique="k").delay(1)
        with pytest.raises(DuplicateJob, match="add.*k") as caught:
            add.using(unique="k", on_conflict="raise").delay(2)
        assert caught.value.job_id == one.id

    def test_replace_gives_the_waiting_job_the_new_call(self, queue, add):
        one = add.using(unique="k", delay=60).delay(1)
        other = add.using(unique="k", on_conflict="replace", priority=-3).delay(5, b=6)
        assert other == one
        assert (one.args, one.kwargs, one.priority) == ((5,), {"b": 6}, -3)
        with queue.worker():
            assert one.result(timeout=10) == 11

    def test_a_later_answer_stands_for_an_earlier_and_goes_with_its_rule(self, add):
        once = add.using(unique="k").using(on_conflict="raise")
        once.delay(1)
        with pytest.raises(DuplicateJob):
            once.delay(1)
        rule = once.using(unique=Unique(by="task"))
        assert rule.delay(1) == rule.delay(2)


class TestUniqueTasks:
    @pytest.fixture
    def once(self, queue):
        @queue.task(name="once", unique=Unique(by="args"))
        def once(a, b=2, *more, c=3, **rest):
            return a

        return once

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((1,), {}), ((1, 2), {}), ((), {"a": 1}), ((), {"b": 2, "a": 1}), ((1,), {"c": 3})],
    )
    def test_equal_arguments_are_one_job_however_the_call_was_written(self, once, args, kwargs):
        assert once.delay(1) == once.delay(*args, **kwargs)

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((2,), {}), ((1.0,), {}), ((True,), {}), (("1",), {}), ((1, 2, 3), {}), ((1,), {"d": 1})],
    )
    def test_other_arguments_are_another_job(self, once, args, kwargs):
        assert once.delay(1) != once.delay(*args, **kwargs)

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ({"x": 1, "y": 2}, {"y": 2, "x": 1}, True),
            ({1: "a", 2: "b"}, {2: "b", 1: "a"}, True),
            ([{1: {"k": 1, "l": 2}}], [{1: {"l": 2, "k": 1}}], True),
            ({3, 1, 2}, {1, 2, 3}, True),
            ([1, 2], [2, 1], False),
            ([1, 2], (1, 2), False),
            ({"$dict": [1, 2], "a": 1}, {"$dict": [2, 1], "a": 1}, False),
            (10**30, 10**30 + 1, False),
            pytest.param(10**4000, 10**4000 + 1, False, id="long integers"),
            pytest.param(10**5000, 10**5000 + 1, False, id="very long integers"),
        ],
    )
    def test_arguments_are_the_same_when_they_are_equal(self, once, one, other, same):
        assert (once.delay(one) == once.delay(other)) is same

    def test_by_task_there_is_one_at_all(self, queue):
        task = queue.task(name="alone", unique=Unique(by="task"))(lambda n: n)
        assert task.delay(1) == task.delay(2)
        assert task.using(unique="mine").delay(3) != task.delay(1)

    def test_raise_is_raised(self, queue):
        task = queue.task(name="alone", unique=Unique(by="args", on_conflict="raise"))(lambda n: n)
        task.delay(1)
        with pytest.raises(DuplicateJob, match="alone"):
            task.delay(1)
        assert task.using(on_conflict="return_existing").delay(1).args == (1,)

    def test_under_pickles_keys_are_of_what_json_can_carry(self, make_queue):
        queue = make_queue(codec=PickleCodec("0123456789abcdef"))
        task = queue.task(name="alone", unique=Unique())(lambda n: n)
        assert task.delay(["a", "a"]) == task.delay(["a", "".join("a")])
        with pytest.raises(InvalidArguments, match="object"):
            task.delay(object())


class TestIdempotencyKeys:
    def test_a_key_holds_whatever_became_of_its_job(self, queue, add):
        one = add.using(idempotency_key="k").delay(1)
        with queue.worker():
            one.result(timeout=10)
        assert add.using(idempotency_key="k").delay(1) == one
        assert add.using(idempotency_key="l").delay(1) != one

    def test_a_key_belongs_to_its_task(self, queue, add):
        other = queue.task(name="other")(lambda: None)
        one = add.using(idempotency_key="k").delay(1)
        assert other.using(idempotency_key="k").delay() != one


class TestBatches:
    def test_a_duplicate_refuses_the_whole_batch(self, queue, add):
        add.using(unique="k").delay(1)
        calls = [add.call(5), add.using(unique="k", on_conflict="raise").call(1)]
        with pytest.raises(DuplicateJob):
            queue.enqueue_many(calls)
        assert pending(queue) == 1

    def test_a_duplicate_names_the_key_as_its_user_does(self, queue, add):
        for unique, says in (
            ("k", "add: k"),
            (Unique("task"), "add by task"),
            (Unique(), "add by args"),
        ):
            same = add.using(unique=unique, on_conflict="raise")
            same.delay(1)
            with pytest.raises(DuplicateJob, match=f"the unique key '{says}' already"):
                same.delay(1)

    def test_what_is_no_list_of_calls_is_refused(self, queue, add):
        for calls in (add.call(1), [add], [add.call(1), (1, 2)], 5):
            with pytest.raises(InvalidOption, match=r"enqueue_many\(\): calls=.*add\.call"):
                queue.enqueue_many(calls)
        assert pending(queue) == 0

    def test_two_alike_in_one_batch_meet(self, queue, add):
        same = add.using(unique="k")
        jobs = queue.enqueue_many([same.call(1), add.call(1), same.call(2)])
        assert jobs[0] == jobs[2]
        raising = add.using(unique="l", on_conflict="raise")
        with pytest.raises(DuplicateJob):
            queue.enqueue_many([raising.call(1), raising.call(2)])
        assert pending(queue) == 2

    def test_options_of_each_call_are_its_own(self, queue, add):
        calls = [add.using(queue="q", priority=3, delay=60, expires=90).call(1), add.call(2)]
        first, second = queue.enqueue_many(iter(calls))
        assert (first.queue, first.priority, second.queue) == ("q", 3, "default")
        assert (first.record.expires_at - first.created_at).total_seconds() == 90
        assert second.record.expires_at is None

    def test_a_map_has_them_too(self, queue):
        task = queue.task(name="one", unique=Unique())(lambda n: n)
        first, second, third = task.map([(1,), (2,), (1,)])
        assert first == third != second

    def test_coroutines_that_share_a_commit_do_not_share_a_conflict(self, queue, add):
        add.using(unique="k").delay(0)
        duplicate = add.using(unique="k", on_conflict="raise")

        async def main():
            calls = [add.adelay(1), duplicate.adelay(1), add.adelay(2)]
            return await asyncio.gather(*calls, return_exceptions=True)

        first, refused, last = asyncio.run(main())
        assert isinstance(refused, DuplicateJob)
        assert (first.args, last.args) == ((1,), (2,))


class TestExpiry:
    def test_a_job_that_can_start_no_more_is_expired(self, queue, add, eventually):
        job = add.using(expires=0.01).delay(1)
        assert len(eventually(lambda: queue._store.expire(limit=10))) == 1
        assert (job.status, "expir" in job.error) == ("cancelled", True)
        with pytest.raises(JobExpired, match="expiry passed") as caught:
            job.result(timeout=10)
        assert isinstance(caught.value, JobCancelled)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("expires", [30, timedelta(seconds=30)])
    def test_it_counts_from_the_enqueuing(self, queue, expires):
        task = queue.task(name="soon", expires=expires)(lambda: None)
        job = task.using(delay=10).delay()
        assert (job.record.expires_at - job.created_at).total_seconds() == 30
        job = task.using(expires=20).delay()
        assert (job.record.expires_at - job.created_at).total_seconds() == 20

    def test_an_expiry_that_comes_before_the_start_is_refused(self, queue, add):
        for options in ({"delay": 5}, {"run_at": datetime.now(UTC) + timedelta(seconds=9)}):
            with pytest.raises(InvalidOption, match=r"add.*expires=5.*more than"):
                add.using(expires=5, **options)
        soon = queue.task(name="soon", expires=5)(lambda: None)
        with pytest.raises(InvalidOption, match="expires=5"):
            soon.using(delay=60)

    def test_a_run_at_that_is_too_late_by_now_is_refused_at_delay(self, add, monkeypatch):
        task = add.using(run_at=datetime.now(UTC) + timedelta(seconds=5), expires=30)
        monkeypatch.setattr(type(task.enqueue_options), "wait", lambda terms: 31.0)
        with pytest.raises(InvalidOption, match="task 'add'.*expires"):
            task.delay(1)


class TestBadOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("unique", ""),
            ("unique", 5),
            ("unique", "x" * 501),
            ("unique", "\ud800"),
            ("unique", True),
            ("on_conflict", "ignore"),
            ("on_conflict", "raise"),
            ("idempotency_key", ""),
            ("idempotency_key", b"k"),
            ("expires", 0),
            ("expires", -1),
            ("expires", "5"),
            ("expires", float("nan")),
            ("expires", True),
            ("expires", timedelta(0)),
            ("expires", 10**400),
        ],
    )
    def test_a_senseless_value_is_named_with_task_and_option(self, add, option, value):
        with pytest.raises(InvalidOption, match=rf"add\.using\(\): {option}="):
            add.using(**{option: value})

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("expires", 0),
            ("expires", "5"),
            ("unique", "k"),
            ("unique", Unique),
            ("http", "yes"),
            ("http", 1),
        ],
    )
    def test_a_senseless_option_of_a_task_is_refused_when_it_is_registered(
        self, queue, option, value
    ):
        with pytest.raises(InvalidOption, match=f"task 'n': {option}="):
            queue.task(**{"name": "n", option: value})(lambda: None)
        assert queue.tasks == ()

    def test_a_rule_that_is_none_is_refused(self):
        with pytest.raises(InvalidOption, match="by="):
            Unique(by="queue")
        with pytest.raises(InvalidOption, match="on_conflict="):
            Unique(on_conflict="drop")

    @pytest.mark.parametrize("url", ["memory://"])
    def test_a_connection_is_refused_where_there_are_no_transactions(self, queue, add):
        with pytest.raises(InvalidOption, match=r"add\.using\(\): conn='object'.*sqlite"):
            add.using(conn=object())
        with (
            pytest.raises(InvalidOption, match=r"Queue\.transaction\(\): conn="),
            queue.transaction(object()),
        ):
            pass

    def test_the_http_flag_is_kept_for_the_router(self, queue, add):
        shown = queue.task(name="shown", http=True)(lambda: None)
        assert (shown.task.http, add.task.http) == (True, False)
