"""Contract of a store's control over jobs that wait: when they may start, and in which order."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import EXPIRED, OutcomeKind
from mainspring.testing.contracts.cases import (
    BROKEN,
    end,
    enqueue,
    found,
    ids,
    join,
    outcome,
    start,
    want,
)

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

UNKNOWN = "9-00000009"


class RescheduleContract:
    """A job that waits is moved in its line, and nothing else of it changes."""

    def test_a_delayed_job_is_ready_now(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store, delay=60.0, unique="k", expires=90.0)
        before = found(store, job_id)
        clock.advance(2)
        assert store.reschedule([job_id, UNKNOWN], delay=0.0) == [True, False]
        record = found(store, job_id)
        assert (record.run_at - record.created_at).total_seconds() == 2
        assert (record.state, record.expires_at) == ("pending", before.expires_at)
        assert enqueue(store, unique="k") == job_id
        assert ids(store.claim(join(store), [want()])) == [job_id]

    def test_a_retry_that_waits_is_ready_now_with_its_attempts(self, store: JobStore) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.RETRY, failure=BROKEN, delay=60.0)
        assert store.reschedule([job_id], delay=0.0) == [True]
        assert start(store, job_id)[1].attempt == 2
        assert [line.outcome for line in store.history(job_id)] == ["retry", None]

    def test_a_job_waits_for_another_time(self, store: JobStore, clock: FrozenClock) -> None:
        job_id, node = enqueue(store), join(store)
        assert store.reschedule([job_id], delay=5.0) == [True]
        assert store.exchange(node, [], [want()]).next_due == 5
        assert store.reschedule([job_id, job_id], delay=3.0) == [True, True]
        exchanged = store.exchange(node, [], [want()])
        assert (exchanged.claims, exchanged.next_due) == ([], 3)
        clock.advance(3)
        assert ids(store.claim(node, [want()])) == [job_id]

    def test_a_job_that_was_due_keeps_its_place(self, store: JobStore, clock: FrozenClock) -> None:
        first = enqueue(store)
        clock.advance(1)
        second = enqueue(store)
        clock.advance(1)
        before = store.get(first)
        assert store.reschedule([first], delay=0.0) == [True]
        assert store.get(first) == before
        assert ids(store.claim(join(store), [want()])) == [first, second]

    def test_a_priority_changes_the_order_and_not_the_time(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first, second, later = enqueue(store), enqueue(store), enqueue(store, delay=5.0)
        assert store.reschedule([second, later], priority=-1) == [True, True]
        assert (found(store, second).priority, found(store, first).priority) == (-1, 0)
        node = join(store)
        assert ids(store.claim(node, [want(limit=1)])) == [second]
        clock.advance(5)
        assert ids(store.claim(node, [want()])) == [later, first]

    def test_both_change_at_once(self, store: JobStore) -> None:
        first, second = enqueue(store), enqueue(store, delay=60.0)
        assert store.reschedule([second], delay=0.0, priority=-1) == [True]
        assert ids(store.claim(join(store), [want()])) == [second, first]

    def test_what_does_not_wait_is_not_moved(self, store: JobStore) -> None:
        running, ended, cancelled = (enqueue(store) for _ in range(3))
        store.cancel([cancelled])
        node = join(store)
        claims = {claim.id: claim for claim in store.claim(node, [want()])}
        store.finish_many(node, [outcome(claims[ended])])
        jobs = [running, ended, cancelled]
        before = [store.get(job_id) for job_id in jobs]
        assert store.reschedule(jobs, delay=0.0, priority=-1) == [False] * 3
        assert store.reschedule(jobs, delay=9.0) == [False] * 3
        assert [store.get(job_id) for job_id in jobs] == before

    def test_a_moved_job_still_expires(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store, expires=10.0)
        store.reschedule([job_id], delay=20.0)
        clock.advance(10)
        assert (len(store.expire(limit=10)), found(store, job_id).failure) == (1, EXPIRED)
