"""Contract of a store's jobs: enqueue, claim, finish, and show them. Needs pytest."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from mainspring.errors import LeaseLost
from mainspring.model.job import JobState, OutcomeKind
from mainspring.testing.contracts.cases import (
    BROKEN,
    LEASE,
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


class JobContract:
    """Jobs in, claims out, outcomes in."""

    def test_ids_come_in_order_and_differ(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job(priority=-number) for number in range(600)])
        assert len(set(job_ids)) == 600
        assert [found(store, job_id).priority for job_id in job_ids[:3]] == [0, -1, -2]

    def test_what_a_purged_job_has_left_meets_no_other_job(self, store: JobStore) -> None:
        old_id = store.enqueue_many([new_job()])[0]
        node = join(store)
        (old,) = store.claim(node, [want()])
        store.finish_many(node, [outcome(old)])
        assert store.purge(completed_after=0, failed_after=0, limit=10) == 1
        new_id = store.enqueue_many([new_job()])[0]
        (new,) = store.claim(node, [want()])
        assert (new.key > old.key, new_id != old_id) == (True, True)
        assert store.finish_many(node, [outcome(old), outcome(new)]) == [False, True]

    def test_a_job_is_read_back_as_it_was_enqueued(self, store: JobStore) -> None:
        new = new_job("a task", "a 'queue'", priority=-7, delay=60.0)
        record = found(store, store.enqueue_many([new])[0])
        assert (record.task, record.queue, record.priority) == ("a task", "a 'queue'", -7)
        assert (record.payload, record.state) == (new.payload, JobState.PENDING)
        assert (record.run_at - record.created_at).total_seconds() == 60

    def test_nothing_is_enqueued_by_an_empty_batch(self, store: JobStore) -> None:
        assert store.enqueue_many([]) == []

    @pytest.mark.parametrize(
        "job_id", ["", "1", "-", "x-00000000", "1-0", "1-zzzzzzzz", "9" * 400 + "-00000000", "²-0"]
    )
    def test_an_id_that_no_store_gave_is_unknown(self, store: JobStore, job_id: str) -> None:
        store.enqueue_many([new_job()])
        assert store.get(job_id) is None
        assert store.history(job_id) == []
        assert store.ended([job_id]) == {}

    def test_an_id_of_another_store_is_unknown(self, store: JobStore) -> None:
        key, nonce = store.enqueue_many([new_job()])[0].split("-")
        assert store.get(f"{key}-{int(nonce, 16) ^ 1:08x}") is None

    def test_a_claim_says_since_when_the_job_could_have_run(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        for delay in (0.0, 2.0):
            enqueue(store, delay=delay)
        clock.advance(5.0)
        node = join(store)
        now, wanted = clock.monotonic(), [pytest.approx(5.0), pytest.approx(3.0)]
        for claims in (store.claim(node, [want()]), store.held(node)):
            assert [now - one.ready_at for one in claims if one.ready_at is not None] == wanted

    def test_claims_come_by_priority_then_run_at_then_order(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        late = store.enqueue_many([new_job(delay=5.0), new_job(delay=2.0)])
        first, second = store.enqueue_many([new_job(), new_job()])
        (urgent,) = store.enqueue_many([new_job(priority=-1)])
        clock.advance(10)
        claims = store.claim(join(store), [want()])
        assert ids(claims) == [urgent, first, second, late[1], late[0]]

    def test_lines_of_several_tasks_and_queues_merge_into_one(self, store: JobStore) -> None:
        jobs = [new_job(f"task{n % 3}", f"queue{n % 2}", priority=n % 5) for n in range(60)]
        expected = sorted(
            zip(store.enqueue_many(jobs), jobs, strict=True), key=lambda pair: pair[1].priority
        )
        claims = store.claim(join(store), [want("task0", "task1", "task2")])
        assert ids(claims) == [job_id for job_id, _ in expected]

    def test_a_thousand_lines_merge_into_one(self, store: JobStore) -> None:
        tasks = tuple(f"task{number}" for number in range(1000))
        job_ids = store.enqueue_many([new_job(task) for task in tasks])
        node = join(store)
        assert ids(store.claim(node, [want(*tasks, limit=7)])) == job_ids[:7]
        assert ids(store.claim(node, [want(*tasks, limit=2000)])) == job_ids[7:]

    def test_a_claim_tells_all_that_an_attempt_needs(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        (claim,) = store.claim(join(store), [want()])
        assert (claim.id, claim.task, claim.queue) == (job_id, "task", "queue")
        assert (claim.payload, claim.attempt, claim.crashes) == (new_job().payload, 1, 0)
        assert found(store, job_id).state is JobState.RUNNING

    def test_only_wanted_tasks_and_queues_are_claimed(self, store: JobStore) -> None:
        store.enqueue_many([new_job("foreign"), new_job("task", "other")])
        node = join(store)
        assert store.claim(node, [want("task", queues=("queue",))]) == []
        assert len(store.claim(node, [want("task")])) == 1

    def test_each_want_has_its_own_limit(self, store: JobStore) -> None:
        store.enqueue_many([new_job("a")] * 5 + [new_job("b")] * 5)
        claims = store.claim(join(store), [want("a", limit=2), want("a", "b", limit=4)])
        assert [claim.task for claim in claims] == ["a", "a", "a", "a", "a", "b"]

    def test_a_large_claim_is_whole_and_in_order(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job()] * 1500)
        assert ids(store.claim(join(store), [want(limit=1400)])) == job_ids[:1400]

    def test_nothing_is_claimed_twice(self, store: JobStore) -> None:
        store.enqueue_many([new_job()] * 3)
        node = join(store)
        assert len(store.claim(node, [want(limit=2)]) + store.claim(node, [want()])) == 3
        assert store.claim(join(store, "other"), [want()]) == []

    def test_claims_at_once_differ_and_miss_nothing(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job()] * 400)

        def drain(name: str) -> list[str]:
            node = join(store, name)
            drained: list[str] = []
            while claims := store.claim(node, [want(limit=7)]):
                drained += ids(claims)
            return drained

        with ThreadPoolExecutor(4) as threads:
            each = list(threads.map(drain, ["a", "b", "c", "d"]))
        assert sorted(chain.from_iterable(each)) == sorted(job_ids)

    def test_nothing_starts_before_it_is_due(self, store: JobStore, clock: FrozenClock) -> None:
        store.enqueue_many([new_job(delay=10.0), new_job("foreign", delay=1.0)])
        node = join(store)
        waiting = store.exchange(node, [], [want()])
        assert (waiting.claims, waiting.next_due) == ([], 10.0)
        clock.advance(9.5)
        assert store.exchange(node, [], [want()]).next_due == 0.5
        clock.advance(0.5)
        due = store.exchange(node, [], [want()])
        assert (len(due.claims), due.next_due) == (1, None)

    def test_a_job_once_ready_stays_so_when_the_clock_jumps_back(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job()])
        clock.jump(-3600)
        assert len(store.claim(join(store), [want()])) == 1

    def test_a_completed_job_keeps_its_result(self, store: JobStore, clock: FrozenClock) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        began = clock.monotonic()
        clock.advance(3)
        ended = outcome(claim, began=began + 1, ended=began + 2, result=b'{"n":[1,2.50]}')
        assert store.finish_many(node, [ended]) == [True]
        record = found(store, job_id)
        assert (record.state, record.result, record.failure) == ("completed", ended.result, None)
        assert (record.attempts, record.node) == (1, "node")
        assert record.started_at is not None
        assert record.completed_at is not None
        assert (record.started_at - record.created_at).total_seconds() == 1
        assert (record.completed_at - record.created_at).total_seconds() == 2
        assert store.ended([job_id])[job_id].result == ended.result

    def test_each_attempt_says_when_it_began_and_ended(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        created_at, node = found(store, job_id).created_at, join(store)
        for kind in (OutcomeKind.RETRY, OutcomeKind.FAILED):
            clock.advance(2)
            (claim,) = store.claim(node, [want()])
            began = clock.monotonic() + 1
            clock.advance(3)
            ended = outcome(claim, kind, began=began, ended=began + 1, failure=BROKEN)
            store.finish_many(node, [ended])
        store.retry([job_id])
        store.claim(node, [want()])
        times = [(line.started_at, line.ended_at or created_at) for line in store.history(job_id)]
        seconds = [[(at - created_at).total_seconds() for at in line] for line in times]
        assert seconds == [[3, 4], [8, 9], [10, 0]]

    def test_a_result_of_none_is_a_result(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        store.finish_many(node, [outcome(store.claim(node, [want()])[0], result=b"null")])
        assert store.ended([job_id])[job_id].result == b"null"
        assert found(store, job_id).result == b"null"

    @pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.CANCELLED])
    def test_a_job_ends_with_its_evidence(self, store: JobStore, kind: OutcomeKind) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        store.finish_many(node, [outcome(claim, kind, failure=BROKEN)])
        end = store.ended([job_id])[job_id]
        assert (end.state.value, end.result, end.failure) == (kind.value, None, BROKEN)
        assert found(store, job_id).failure == BROKEN
        assert [line.outcome for line in store.history(job_id)] == [kind]

    def test_a_retry_is_charged_and_waits(self, store: JobStore, clock: FrozenClock) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        ended = outcome(claim, OutcomeKind.RETRY, failure=BROKEN, delay=5.0)
        again = store.exchange(node, [ended], [want()])
        assert (again.accepted, again.claims, again.next_due) == ([True], [], 5.0)
        record = found(store, job_id)
        assert (record.state, record.attempts, record.failure) == ("pending", 1, BROKEN)
        clock.advance(5)
        (second,) = store.claim(node, [want()])
        assert (second.attempt, second.fence > claim.fence) == (2, True)

    @pytest.mark.parametrize("kind", [OutcomeKind.SNOOZED, OutcomeKind.RELEASED])
    def test_what_was_not_an_attempt_is_not_charged(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        (again,) = store.exchange(node, [outcome(claim, kind)], [want()]).claims
        assert (again.attempt, again.fence > claim.fence) == (1, True)
        assert [line.outcome for line in store.history(job_id)] == [kind, None]

    def test_a_released_job_keeps_its_place(self, store: JobStore, clock: FrozenClock) -> None:
        first, second = store.enqueue_many([new_job(), new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want(limit=1)])
        clock.advance(5)
        store.finish_many(node, [outcome(claim, OutcomeKind.RELEASED)])
        assert ids(store.claim(node, [want()])) == [first, second]

    @pytest.mark.parametrize("kind", sorted(set(OutcomeKind) - {OutcomeKind.RELEASED}))
    def test_a_stale_fence_changes_nothing(self, store: JobStore, kind: OutcomeKind) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (old,) = store.claim(node, [want()])
        (new,) = store.exchange(node, [outcome(old, OutcomeKind.RELEASED)], [want()]).claims
        before = store.get(job_id), store.history(job_id)
        assert store.finish_many(node, [outcome(old, kind)]) == [False]
        assert (store.get(job_id), store.history(job_id)) == before
        assert store.finish_many(node, [outcome(new, kind)]) == [True]

    @pytest.mark.parametrize("kind", list(OutcomeKind))
    def test_another_nodes_claim_is_not_finished(self, store: JobStore, kind: OutcomeKind) -> None:
        store.enqueue_many([new_job()])
        (claim,) = store.claim(join(store), [want()])
        assert store.finish_many(join(store, "other"), [outcome(claim, kind)]) == [False]

    def test_the_first_of_two_outcomes_of_a_claim_wins(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        first = outcome(claim, OutcomeKind.FAILED, failure=BROKEN)
        assert store.finish_many(node, [first, outcome(claim), first]) == [True, False, True]
        assert store.finish_many(node, [outcome(claim)]) == [False]
        assert found(store, job_id).state is JobState.FAILED

    @pytest.mark.parametrize("kind", list(OutcomeKind))
    def test_an_outcome_sent_again_is_on_record_and_changes_nothing(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node, claim = start(store, job_id)
        ended = outcome(claim, kind)
        assert store.finish_many(node, [ended]) == [True]
        before = store.get(job_id), store.history(job_id)
        assert store.finish_many(node, [ended]) == [True]
        assert (store.get(job_id), store.history(job_id)) == before
        ends = {OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED}
        others = [outcome(claim, other) for other in ends - {kind}]
        assert store.finish_many(node, others) == [False] * len(others)
        assert store.finish_many(join(store, "other"), [ended]) == [False]

    @pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.SNOOZED, OutcomeKind.RELEASED])
    def test_an_outcome_that_ended_a_cancelled_job_is_known_when_sent_again(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node, claim = start(store, job_id)
        store.cancel([job_id])
        ended = outcome(claim, kind)
        assert store.finish_many(node, [ended]) == store.finish_many(node, [ended]) == [True]
        assert found(store, job_id).state is JobState.CANCELLED

    def test_an_outcome_is_known_when_sent_after_the_job_runs_again(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node, claim = start(store, job_id)
        ended = outcome(claim, OutcomeKind.FAILED, failure=BROKEN)
        store.finish_many(node, [ended])
        store.retry([job_id])
        store.claim(node, [want()])
        assert store.finish_many(node, [ended]) == [True]
        assert found(store, job_id).state is JobState.RUNNING

    def test_a_bad_outcome_does_not_spoil_its_batch(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job()] * 300)
        node = join(store)
        claims = store.claim(node, [want(limit=300)])
        ended = [outcome(claim) for claim in claims]
        ended[7] = outcome(claims[7], fence=99)
        ended.append(outcome(claims[0], key=10**9))
        accepted = store.finish_many(node, ended)
        assert [number for number, taken in enumerate(accepted) if not taken] == [7, 300]
        assert len(store.ended(job_ids)) == 299

    def test_a_node_that_has_gone_changes_nothing(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        store.leave(node)
        before = store.get(job_id), store.history(job_id)
        with pytest.raises(LeaseLost):
            store.exchange(node, [outcome(claim)], [want()])
        assert (store.get(job_id), store.history(job_id)) == before
        assert store.renew(node, lease=LEASE) is None

    def test_stats_count_the_jobs_of_each_queue(self, store: JobStore) -> None:
        store.enqueue_many([new_job()] * 4 + [new_job(queue="other", delay=9.0)])
        node = join(store)
        claims = store.claim(node, [want(limit=3)])
        store.finish_many(node, [outcome(claims[0]), outcome(claims[1], OutcomeKind.FAILED)])
        counts = store.stats()
        assert (counts["queue"]["pending"], counts["queue"]["running"]) == (1, 1)
        assert (counts["queue"]["completed"], counts["queue"]["failed"]) == (1, 1)
        assert sum(counts["other"].values()) == counts["other"]["pending"] == 1
