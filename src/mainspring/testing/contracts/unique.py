"""Contract of a store's unique and idempotency keys. Needs pytest."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.errors import DuplicateJob
from mainspring.model.job import JobState, OutcomeKind
from mainspring.testing.contracts.cases import (
    BROKEN,
    end,
    enqueue,
    found,
    held,
    ids,
    join,
    new_job,
    start,
    want,
)

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

DAY = 86_400.0
ENDS = [OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED]


class UniqueContract:
    """At most one live job bears a unique key."""

    def test_a_live_job_with_the_key_is_returned(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        assert enqueue(store, unique="k", payload=b"[[2],{}]") == first
        assert (held(store), found(store, first).payload) == (1, new_job().payload)
        start(store, first)
        assert enqueue(store, unique="k") == first
        assert enqueue(store, unique="other") != first

    def test_jobs_of_one_batch_meet_each_other(self, store: JobStore) -> None:
        first, other, again = store.enqueue_many(
            [new_job(unique="k"), new_job(), new_job(unique="k")]
        )
        assert (first, held(store)) == (again, 2)
        assert other != first

    def test_the_key_holds_over_tasks_and_queues(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        (again,) = store.enqueue_many([new_job("another task", "another queue", unique="k")])
        assert again == first

    def test_an_empty_key_is_a_key(self, store: JobStore) -> None:
        first = enqueue(store, unique="", idempotency_key="")
        assert len({first, enqueue(store), enqueue(store)}) == 3
        assert enqueue(store, unique="") == enqueue(store, idempotency_key="") == first

    @pytest.mark.parametrize("kind", ENDS)
    def test_the_end_of_the_job_frees_its_key(self, store: JobStore, kind: OutcomeKind) -> None:
        first = enqueue(store, unique="k")
        end(store, first, kind)
        assert enqueue(store, unique="k") != first

    @pytest.mark.parametrize(
        "kind", [OutcomeKind.RETRY, OutcomeKind.SNOOZED, OutcomeKind.RELEASED, OutcomeKind.CRASHED]
    )
    def test_a_job_that_waits_again_keeps_its_key(self, store: JobStore, kind: OutcomeKind) -> None:
        first = enqueue(store, unique="k")
        end(store, first, kind)
        assert enqueue(store, unique="k") == first

    def test_a_cancelled_or_expired_job_frees_its_key(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first = enqueue(store, unique="k")
        store.cancel([first])
        second = enqueue(store, unique="k", expires=1.0)
        clock.advance(1)
        assert len(store.expire(limit=10)) == 1
        assert len({first, second, enqueue(store, unique="k")}) == 3

    def test_a_last_crash_frees_its_key(self, store: JobStore, clock: FrozenClock) -> None:
        first = enqueue(store, unique="k")
        for _ in range(3):
            node = join(store)
            store.claim(node, [want()])
            store.rescue(node, dead=True, begun=None)
            clock.advance(30)
        assert found(store, first).state is JobState.FAILED
        assert enqueue(store, unique="k") != first

    def test_raise_refuses_the_whole_batch(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        batch = [new_job(unique="fresh"), new_job(unique="k", on_conflict="raise"), new_job()]
        with pytest.raises(DuplicateJob) as refused:
            store.enqueue_many(batch)
        assert (refused.value.unique, refused.value.job_id, held(store)) == ("k", first, 1)
        # Nothing of the batch is there, not even its keys.
        assert enqueue(store, unique="fresh", on_conflict="raise") != first

    def test_raise_keeps_a_job_whose_key_is_free(self, store: JobStore) -> None:
        first = enqueue(store, unique="k", on_conflict="raise")
        end(store, first)
        assert enqueue(store, unique="k", on_conflict="raise") != first

    def test_raise_in_one_batch_names_no_job_since_none_is_kept(self, store: JobStore) -> None:
        batch = [new_job(unique="k"), new_job(unique="k", on_conflict="raise")]
        with pytest.raises(DuplicateJob, match="same batch") as refused:
            store.enqueue_many(batch)
        assert (refused.value.unique, refused.value.job_id, held(store)) == ("k", None, 0)

    def test_replace_gives_the_waiting_job_what_is_new(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first = enqueue(store, unique="k", priority=5, delay=60.0, expires=90.0)
        clock.advance(10)
        second = enqueue(store, payload=b"[[2],{}]", unique="k", on_conflict="replace")
        record = found(store, first)
        assert (second, held(store)) == (first, 1)
        assert (record.payload, record.priority, record.expires_at) == (b"[[2],{}]", 0, None)
        assert (record.run_at - record.created_at).total_seconds() == 10
        assert ids(store.claim(join(store), [want()])) == [first]

    def test_a_replaced_job_has_the_place_of_the_new_one(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first, second = store.enqueue_many([new_job(unique="k"), new_job()])
        node = join(store)
        enqueue(store, unique="k", delay=5.0, on_conflict="replace")
        waiting = store.exchange(node, [], [want()])
        assert (ids(waiting.claims), waiting.next_due) == ([second], 5.0)
        clock.advance(5)
        assert ids(store.claim(node, [want()])) == [first]

    def test_replace_in_one_batch_takes_the_last(self, store: JobStore) -> None:
        first, second = store.enqueue_many(
            [
                new_job(unique="k", priority=3),
                new_job(unique="k", priority=-3, payload=b"[[2],{}]", on_conflict="replace"),
            ]
        )
        record = found(store, first)
        assert (first, record.priority, record.payload) == (second, -3, b"[[2],{}]")
        assert ids(store.claim(join(store), [want()])) == [first]

    def test_replace_refuses_a_running_job(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        start(store, first)
        batch = [new_job(), new_job(unique="k", payload=b"[[2],{}]", on_conflict="replace")]
        with pytest.raises(DuplicateJob, match="runs") as refused:
            store.enqueue_many(batch)
        assert (refused.value.job_id, held(store)) == (first, 1)
        assert found(store, first).payload == new_job().payload

    def test_a_manual_retry_whose_key_is_live_returns_the_live_job(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        end(store, first, OutcomeKind.FAILED, failure=BROKEN)
        live = enqueue(store, unique="k")
        before = store.get(first), store.get(live)
        assert store.retry([first], payload=b"[[2],{}]") == [live]
        assert (store.get(first), store.get(live)) == before

    def test_a_manual_retry_takes_its_key_again(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        end(store, first, OutcomeKind.FAILED, failure=BROKEN)
        assert store.retry([first]) == [first]
        assert enqueue(store, unique="k") == first

    def test_of_two_dead_letters_with_one_key_the_first_is_retried(self, store: JobStore) -> None:
        dead = []
        for _ in range(2):
            dead.append(enqueue(store, unique="k"))
            end(store, dead[-1], OutcomeKind.FAILED, failure=BROKEN)
        assert store.retry(dead) == [dead[0], dead[0]]
        assert [found(store, job_id).state for job_id in dead] == ["pending", "failed"]


class IdempotencyContract:
    """Within 24 hours one job bears an idempotency key, whatever becomes of it."""

    def test_the_same_key_gives_the_same_job(self, store: JobStore) -> None:
        first = enqueue(store, idempotency_key="i")
        assert store.enqueue_many(
            [new_job(idempotency_key="i"), new_job(idempotency_key="i", priority=1)]
        ) == [first, first]
        assert (held(store), found(store, first).priority) == (1, 0)

    def test_in_one_batch_the_second_is_not_kept(self, store: JobStore) -> None:
        first, second = store.enqueue_many([new_job(idempotency_key="i")] * 2)
        assert (first, held(store)) == (second, 1)

    @pytest.mark.parametrize("kind", ENDS)
    def test_the_key_outlives_its_job(
        self, store: JobStore, clock: FrozenClock, kind: OutcomeKind
    ) -> None:
        first = enqueue(store, idempotency_key="i")
        end(store, first, kind)
        assert enqueue(store, idempotency_key="i") == first
        clock.advance(1)
        assert store.purge(completed_after=0, failed_after=0, limit=10) == 1
        assert (store.get(first), enqueue(store, idempotency_key="i")) == (None, first)
        assert held(store) == 0

    def test_the_key_of_a_dropped_job_holds(self, store: JobStore) -> None:
        first = enqueue(store, idempotency_key="i")
        store.cancel([first])
        assert store.drop([first]) == 1
        assert (enqueue(store, idempotency_key="i"), held(store)) == (first, 0)

    def test_after_24_hours_the_key_is_free_purged_or_not(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first = enqueue(store, idempotency_key="i")
        clock.advance(DAY - 1)
        assert enqueue(store, idempotency_key="i") == first
        clock.advance(2)
        second = enqueue(store, idempotency_key="i")
        store.purge(completed_after=DAY, failed_after=DAY, limit=10)
        assert second != first
        assert enqueue(store, idempotency_key="i") == second

    def test_a_purge_forgets_keys_of_yesterday_only(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        old = enqueue(store, idempotency_key="old")
        clock.advance(DAY / 2)
        young = enqueue(store, idempotency_key="young")
        clock.advance(DAY / 2 + 1)
        store.purge(completed_after=DAY, failed_after=DAY, limit=10)
        assert enqueue(store, idempotency_key="old") != old
        assert enqueue(store, idempotency_key="young") == young

    def test_it_is_asked_before_the_unique_key(self, store: JobStore) -> None:
        first = enqueue(store, idempotency_key="i")
        enqueue(store, unique="k")
        again = enqueue(store, idempotency_key="i", unique="k", on_conflict="raise")
        assert again == first

    def test_a_repeated_call_is_no_conflict_with_its_own_job(self, store: JobStore) -> None:
        call = new_job(idempotency_key="i", unique="k", on_conflict="raise")
        first, again = store.enqueue_many([call, call])
        assert store.enqueue_many([call]) == [first] == [again]

    def test_it_stands_for_the_live_job_that_was_returned(self, store: JobStore) -> None:
        live = enqueue(store, unique="k")
        assert enqueue(store, unique="k", idempotency_key="i") == live
        end(store, live)
        assert enqueue(store, unique="k", idempotency_key="i") == live

    def test_a_refused_batch_leaves_no_key(self, store: JobStore) -> None:
        first = enqueue(store, unique="k")
        with pytest.raises(DuplicateJob):
            store.enqueue_many(
                [new_job(idempotency_key="i"), new_job(unique="k", on_conflict="raise")]
            )
        second = enqueue(store, idempotency_key="i")
        assert (found(store, second).state, second != first, held(store)) == ("pending", True, 2)
