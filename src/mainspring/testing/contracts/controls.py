"""Contract of a store's controls: cancel, retry, drop, expire and pause. Needs pytest."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.model.job import CANCELLED, EXPIRED, FINAL, JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.testing.contracts.cases import (
    BROKEN,
    LEASE,
    end,
    enqueue,
    found,
    ids,
    join,
    new_job,
    outcome,
    start,
    want,
)

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

ENDS = [OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED]
WAITS = [OutcomeKind.RETRY, OutcomeKind.SNOOZED, OutcomeKind.RELEASED, OutcomeKind.CRASHED]
UNKNOWN = "9-00000009"


def outcomes_of(store: JobStore, job_id: str) -> list[str | None]:
    """Return the words of a job's history."""
    return [line.outcome for line in store.history(job_id)]


class CancelContract:
    """A cancelled job does not wait again."""

    def test_a_pending_job_is_cancelled_at_once(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        clock.advance(3)
        assert store.cancel([job_id]) == [True]
        record = found(store, job_id)
        assert (record.state, record.failure, record.attempts) == ("cancelled", CANCELLED, 0)
        assert record.completed_at is not None
        assert (record.completed_at - record.created_at).total_seconds() == 3
        assert (record.node, record.started_at, store.history(job_id)) == (None, None, [])
        assert store.ended([job_id])[job_id].failure == CANCELLED
        assert store.claim(join(store), [want()]) == []

    def test_a_delayed_job_is_cancelled_at_once(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store, delay=5.0)
        assert store.cancel([job_id]) == [True]
        node = join(store)
        assert store.exchange(node, [], [want()]).next_due is None
        clock.advance(5)
        assert store.claim(node, [want()]) == []

    def test_a_running_job_is_marked_and_its_node_learns_of_it(self, store: JobStore) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        other = join(store, "other")
        assert store.cancel([job_id, UNKNOWN]) == [True, False]
        assert (found(store, job_id).state, found(store, job_id).cancelling) == ("running", True)
        for _ in range(2):
            answer = store.renew(node, lease=LEASE)
            assert answer is not None
            assert answer.cancel == ((claim.key, claim.fence),)
        answer = store.renew(other, lease=LEASE)
        assert answer is not None
        assert answer.cancel == ()

    @pytest.mark.parametrize("kind", ENDS)
    def test_a_marked_job_may_still_end_as_it_will(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.cancel([job_id])
        answer = outcome(claim, kind, failure=None if kind is OutcomeKind.COMPLETED else BROKEN)
        assert store.finish_many(node, [answer]) == [True]
        record = found(store, job_id)
        assert (record.state.value, record.failure) == (kind.value, answer.failure)
        assert (record.cancelling, record.attempts) == (False, 1)
        assert store.renew(node, lease=LEASE).cancel == ()  # type: ignore[union-attr]  # it lives

    @pytest.mark.parametrize("kind", WAITS)
    def test_what_would_send_a_marked_job_back_ends_it(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.cancel([job_id])
        again = store.exchange(node, [outcome(claim, kind, failure=BROKEN)], [want()])
        assert (again.accepted, again.claims, again.next_due) == ([True], [], None)
        record = found(store, job_id)
        assert (record.state, record.failure) == ("cancelled", CANCELLED)
        assert record.attempts == (kind is OutcomeKind.RETRY)
        assert (record.crashes, record.cancelling) == (kind is OutcomeKind.CRASHED, False)
        assert outcomes_of(store, job_id) == ["cancelled"]

    def test_leaving_ends_a_marked_job(self, store: JobStore) -> None:
        job_id, other = store.enqueue_many([new_job()] * 2)
        node = join(store)
        store.claim(node, [want()])
        store.cancel([job_id])
        store.leave(node)
        assert (found(store, job_id).state, found(store, other).state) == ("cancelled", "pending")
        assert (found(store, job_id).attempts, outcomes_of(store, job_id)) == (0, ["cancelled"])

    @pytest.mark.parametrize("begun", [True, False])
    def test_a_rescue_ends_a_marked_job(self, store: JobStore, *, begun: bool) -> None:
        job_id, other = store.enqueue_many([new_job()] * 2)
        node = join(store)
        marked, unmarked = store.claim(node, [want()])
        store.cancel([job_id])
        rescued = store.rescue(node, dead=True, begun={(marked.key, marked.fence)} if begun else ())
        assert rescued is not None
        assert (rescued.cancelled, rescued.requeued) == ([marked.key], [unmarked.key])
        record = found(store, job_id)
        assert (record.state, record.failure) == ("cancelled", CANCELLED)
        assert (record.crashes, record.attempts) == (begun, 0)
        assert found(store, other).state == "pending"

    def test_the_third_crash_of_a_marked_job_fails_it(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store)
        for _ in range(2):
            end(store, job_id, OutcomeKind.CRASHED)
            clock.advance(30)
        node, claim = start(store, job_id)
        store.cancel([job_id])
        rescued = store.rescue(node, dead=True, begun=None)
        assert rescued is not None
        assert (rescued.failed, rescued.cancelled) == ([claim.key], [])
        assert found(store, job_id).state is JobState.FAILED

    @pytest.mark.parametrize("kind", ENDS)
    def test_a_final_job_is_not_cancelled(self, store: JobStore, kind: OutcomeKind) -> None:
        job_id = enqueue(store)
        end(store, job_id, kind)
        before = store.get(job_id)
        assert store.cancel([job_id]) == [False]
        assert store.get(job_id) == before


class RetryContract:
    """Final jobs run again, or go."""

    @pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.CANCELLED])
    def test_a_manual_retry_starts_anew_and_keeps_the_history(
        self, store: JobStore, clock: FrozenClock, kind: OutcomeKind
    ) -> None:
        job_id = enqueue(store, priority=2, expires=60.0)
        end(store, job_id, OutcomeKind.RETRY)
        end(store, job_id, OutcomeKind.CRASHED)
        end(store, job_id, kind, failure=BROKEN)
        clock.advance(100)
        assert store.retry([job_id]) == [job_id]
        record = found(store, job_id)
        assert (record.state, record.attempts, record.crashes) == ("pending", 0, 0)
        assert (record.priority, record.payload) == (2, new_job().payload)
        assert (record.run_at - record.created_at).total_seconds() == 100
        assert (record.expires_at, record.completed_at, record.node) == (None, None, None)
        assert store.ended([job_id]) == {}
        assert outcomes_of(store, job_id) == ["retry", "crashed", kind]
        _, claim = start(store, job_id)
        assert (claim.attempt, claim.crashes, claim.fence, claim.expired) == (1, 0, 4, False)

    def test_a_job_that_was_cancelled_while_it_waited_is_retried(self, store: JobStore) -> None:
        job_id = enqueue(store, delay=60.0)
        store.cancel([job_id])
        assert store.retry([job_id]) == [job_id]
        assert (found(store, job_id).failure, store.history(job_id)) == (None, [])
        end(store, job_id)
        assert found(store, job_id).state is JobState.COMPLETED

    def test_a_job_that_was_marked_starts_unmarked(self, store: JobStore) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.cancel([job_id])
        store.finish_many(node, [outcome(claim, OutcomeKind.CANCELLED)])
        store.retry([job_id])
        end(store, job_id, OutcomeKind.RELEASED)
        assert found(store, job_id).state is JobState.PENDING

    def test_a_manual_retry_may_bring_other_arguments(self, store: JobStore) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.FAILED)
        store.retry([job_id], payload=b"[[2],{}]")
        assert start(store, job_id)[1].payload == b"[[2],{}]"

    def test_a_retried_job_lines_up_behind(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.FAILED)
        clock.advance(1)
        second = enqueue(store)
        clock.advance(1)
        store.retry([job_id])
        assert ids(store.claim(join(store), [want()])) == [second, job_id]

    def test_only_failed_and_cancelled_jobs_are_retried(self, store: JobStore) -> None:
        pending, running, completed = (enqueue(store, f"task{n}") for n in range(3))
        node = join(store)
        store.claim(node, [want("task1")])
        store.finish_many(node, [outcome(claim) for claim in store.claim(node, [want("task2")])])
        asked = [pending, running, completed, UNKNOWN]
        before = [store.get(job_id) for job_id in asked]
        assert store.retry(asked, payload=b"[[2],{}]") == [None] * 4
        assert [store.get(job_id) for job_id in asked] == before

    def test_a_retry_and_its_end_are_final_again(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.FAILED, failure=BROKEN)
        store.retry([job_id])
        clock.advance(50)
        end(store, job_id)
        record = found(store, job_id)
        assert (record.state, record.failure, record.result) == ("completed", None, b"42")
        # What it was before does not make it older than it is.
        clock.advance(10)
        assert store.purge(completed_after=11, failed_after=11, limit=10) == 0
        assert store.purge(completed_after=10, failed_after=99, limit=10) == 1

    def test_what_is_dropped_is_gone_with_all_that_is_known_of_it(self, store: JobStore) -> None:
        job_ids = [enqueue(store) for _ in range(4)]
        end(store, job_ids[0])
        end(store, job_ids[1], OutcomeKind.FAILED, failure=BROKEN)
        store.cancel([job_ids[2]])
        assert store.drop([*job_ids[:2], UNKNOWN]) == 2
        assert [store.get(job_id) for job_id in job_ids[:2]] == [None, None]
        assert [store.history(job_id) for job_id in job_ids[:2]] == [[], []]
        assert (store.ended(job_ids[:2]), store.retry(job_ids[:2])) == ({}, [None, None])
        assert (store.drop(job_ids), found(store, job_ids[3]).state) == (1, "pending")
        start(store, job_ids[3])
        assert store.drop(job_ids) == 0

    @pytest.mark.parametrize("status", [None, *sorted(FINAL)])
    def test_what_ended_long_ago_is_dropped_by_what_it_is(
        self, store: JobStore, clock: FrozenClock, status: JobState | None
    ) -> None:
        ages: dict[int, dict[JobState, str]] = {}
        for age in (20, 10, 0):
            ages[age] = dict(zip(FINAL, (enqueue(store) for _ in FINAL), strict=True))
            end(store, ages[age][JobState.COMPLETED])
            end(store, ages[age][JobState.FAILED], OutcomeKind.FAILED, failure=BROKEN)
            store.cancel([ages[age][JobState.CANCELLED]])
            clock.advance(10)
        other, live = enqueue(store, "other"), enqueue(store)
        store.cancel([other])
        wanted = JobFilter(status=status, task="task")
        fitting = [job_id for state, job_id in ages[20].items() if status in (None, state)]
        assert store.drop_ended(wanted, older_than=25, limit=99) == len(fitting)
        assert [store.get(job_id) for job_id in fitting] == [None] * len(fitting)
        assert store.drop_ended(wanted, older_than=15, limit=1) == 1
        assert store.drop_ended(wanted, older_than=15, limit=99) == len(fitting) - 1
        left = store.drop_ended(JobFilter(queue="queue"), older_than=0, limit=99)
        assert (left, found(store, live).state) == (10 - 2 * len(fitting), "pending")

    def test_of_what_ended_the_oldest_is_dropped_first(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_ids = [enqueue(store) for _ in range(4)]
        for job_id in (job_ids[2], job_ids[0], job_ids[3], job_ids[1]):
            store.cancel([job_id])
            clock.advance(1)
        assert store.drop_ended(JobFilter(task="task"), older_than=0, limit=3) == 3
        assert [store.get(job_id) is not None for job_id in job_ids] == [False, True, False, False]


class ExpiryContract:
    """Contract of expiry: a job that comes too late does not start."""

    def test_a_job_whose_expiry_passed_is_cancelled(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store, expires=10.0)
        record = found(store, job_id)
        assert record.expires_at is not None
        assert (record.expires_at - record.created_at).total_seconds() == 10
        clock.advance(9.5)
        assert store.expire(limit=10) == []
        clock.advance(0.5)
        assert store.expire(limit=10) == [record.key]
        record = found(store, job_id)
        assert (record.state, record.failure, record.attempts) == ("cancelled", EXPIRED, 0)
        assert (store.claim(join(store), [want()]), store.history(job_id)) == ([], [])

    def test_a_claim_that_comes_too_late_says_so(self, store: JobStore, clock: FrozenClock) -> None:
        late, timely, eternal = store.enqueue_many(
            [new_job(expires=10.0), new_job(expires=10.5), new_job()]
        )
        clock.advance(10)
        claims = store.claim(join(store), [want()])
        assert ids(claims) == [late, timely, eternal]
        assert [claim.expired for claim in claims] == [True, False, False]

    def test_what_runs_does_not_expire(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store, expires=10.0)
        node, claim = start(store, job_id)
        clock.advance(11)
        assert store.expire(limit=10) == []
        assert store.finish_many(node, [outcome(claim)]) == [True]
        assert store.expire(limit=10) == []

    def test_what_waits_again_expires(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store, expires=10.0)
        node, claim = start(store, job_id)
        clock.advance(11)
        assert store.expire(limit=10) == []
        answer = outcome(claim, OutcomeKind.RETRY, failure=BROKEN, delay=60.0)
        store.finish_many(node, [answer])
        assert len(store.expire(limit=10)) == 1
        assert (found(store, job_id).failure, outcomes_of(store, job_id)) == (EXPIRED, ["retry"])

    def test_delayed_jobs_expire_too(self, store: JobStore, clock: FrozenClock) -> None:
        enqueue(store, delay=60.0, expires=10.0)
        clock.advance(10)
        assert len(store.expire(limit=10)) == 1
        assert store.exchange(join(store), [], [want()]).next_due is None

    def test_no_more_expire_than_the_limit(self, store: JobStore, clock: FrozenClock) -> None:
        store.enqueue_many([new_job(expires=1.0)] * 5)
        clock.advance(1)
        assert [len(store.expire(limit=2)) for _ in range(4)] == [2, 2, 1, 0]


class PauseContract:
    """A paused queue gives nothing."""

    def test_a_paused_queue_yields_no_claim(self, store: JobStore) -> None:
        store.enqueue_many([new_job(), new_job(queue="other")])
        node = join(store)
        assert (store.pause("queue"), store.pause("queue")) == (True, False)
        assert [claim.queue for claim in store.claim(node, [want()])] == ["other"]
        assert store.claim(node, [want(queues=("queue",))]) == []
        enqueue(store)
        assert store.claim(node, [want()]) == []
        assert (store.resume("queue"), store.resume("queue")) == (True, False)
        assert len(store.claim(node, [want()])) == 2

    def test_next_due_is_of_lanes_that_are_not_paused(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job(delay=5.0), new_job(queue="other", delay=9.0)])
        node = join(store)
        store.pause("queue")
        assert store.exchange(node, [], [want()]).next_due == 9.0
        clock.advance(6)
        assert store.exchange(node, [], [want()]).claims == []
        store.resume("queue")
        assert len(store.exchange(node, [], [want()]).claims) == 1

    def test_what_runs_goes_on_and_what_waits_can_be_cancelled(self, store: JobStore) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        waiting = enqueue(store)
        store.pause("queue")
        assert store.finish_many(node, [outcome(claim, OutcomeKind.RELEASED)]) == [True]
        assert store.claim(node, [want()]) == []
        assert store.cancel([waiting]) == [True]
        assert store.stats()["queue"]["pending"] == 1

    def test_a_queue_that_has_no_jobs_yet_can_be_paused(self, store: JobStore) -> None:
        assert store.pause("later")
        enqueue(store, queue="later")
        assert store.claim(join(store), [want()]) == []
        assert store.paused() == ["later"]


class ControlsContract(CancelContract, RetryContract, ExpiryContract, PauseContract):
    """The contract of Controls."""
