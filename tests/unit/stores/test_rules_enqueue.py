"""The effect of enqueuing jobs that bear keys, as every store has it."""

import pytest
from msgspec import Struct

from mainspring.errors import DuplicateJob
from mainspring.model.job import NewJob
from mainspring.stores.rules.enqueue import is_keyed, plan_enqueue


class Live(Struct):
    id: str = "7-abc"
    running: bool = False


def new(payload=b"[]", **options):
    return NewJob(task="task", queue="queue", payload=payload, **options)


def test_jobs_without_keys_are_inserted_in_order():
    plan = plan_enqueue([new(b"1"), new(b"2")], {}, {})
    assert [job.payload for job in plan.inserted] == [b"1", b"2"]
    assert plan.ids(["a", "b"]) == ["a", "b"]


def test_a_live_job_answers_for_its_unique_key():
    plan = plan_enqueue([new(unique="k")], {}, {"k": Live()})
    assert (plan.ids([]), plan.inserted, plan.replaced) == (["7-abc"], [], {})


def test_a_running_job_answers_as_well():
    assert plan_enqueue([new(unique="k")], {}, {"k": Live(running=True)}).ids([]) == ["7-abc"]


def test_raise_refuses_the_batch_and_names_the_live_job():
    with pytest.raises(DuplicateJob) as caught:
        plan_enqueue([new(), new(unique="k", on_conflict="raise")], {}, {"k": Live()})
    assert caught.value.job_id == "7-abc"


def test_raise_names_no_job_of_the_same_batch():
    one = new(unique="k", on_conflict="raise")
    with pytest.raises(DuplicateJob) as caught:
        plan_enqueue([one, one], {}, {})
    assert caught.value.job_id is None


def test_replace_gives_a_waiting_job_what_the_last_one_says():
    first, last = (new(text, unique="k", on_conflict="replace") for text in (b"1", b"2"))
    plan = plan_enqueue([first, last], {}, {"k": Live()})
    assert (plan.replaced, plan.inserted, plan.ids([])) == ({"k": last}, [], ["7-abc"] * 2)


def test_replace_refuses_a_running_job():
    job = new(unique="k", on_conflict="replace")
    with pytest.raises(DuplicateJob, match="runs"):
        plan_enqueue([job], {}, {"k": Live(running=True)})


def test_replace_within_a_batch_changes_the_job_that_is_inserted():
    first = NewJob(task="first", queue="one", payload=b"1", unique="k", idempotency_key="i")
    last = NewJob(
        task="last",
        queue="two",
        payload=b"2",
        priority=3,
        delay=4.0,
        expires=5.0,
        unique="k",
        on_conflict="replace",
    )
    plan = plan_enqueue([first, last], {}, {})
    (kept,) = plan.inserted
    assert (kept.task, kept.queue, kept.unique) == ("first", "one", "k")
    assert (kept.payload, kept.priority, kept.delay, kept.expires) == (b"2", 3, 4.0, 5.0)
    assert (plan.ids(["a"]), plan.memories(["a"])) == (["a", "a"], {"i": "a"})


def test_an_idempotency_key_answers_before_a_unique_key():
    job = new(unique="k", on_conflict="raise", idempotency_key="i")
    plan = plan_enqueue([job], {"i": "1-old"}, {"k": Live()})
    assert (plan.ids([]), plan.remembered) == (["1-old"], {})


def test_an_idempotency_key_stands_for_the_job_that_its_call_was_answered_with():
    job = new(unique="k", idempotency_key="i")
    assert plan_enqueue([job], {}, {"k": Live()}).memories([]) == {"i": "7-abc"}


def test_the_second_job_of_an_idempotency_key_in_a_batch_is_the_first():
    plan = plan_enqueue([new(b"1", idempotency_key="i"), new(b"2", idempotency_key="i")], {}, {})
    assert [job.payload for job in plan.inserted] == [b"1"]
    assert plan.ids(["a"]) == ["a", "a"]


@pytest.mark.parametrize("option", ["unique", "idempotency_key", "expires"])
def test_a_key_or_an_expiry_anywhere_in_a_batch_asks_for_a_plan(option):
    value = 1.0 if option == "expires" else "k"
    assert is_keyed([new(), new(**{option: value})])
    assert not is_keyed([new(), new()])
