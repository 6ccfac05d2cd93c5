"""Contract of a store's nodes: those that live, leave and are lost. Needs pytest."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.errors import LeaseLost
from mainspring.model.job import Exchanged, JobState, OutcomeKind
from mainspring.testing.contracts.cases import (
    BROKEN,
    LEASE,
    found,
    ids,
    join,
    new_job,
    outcome,
    want,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.job import Claim
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock


LAST = OutcomeKind.FAILED
"""The kind of outcome that tells of a last crash."""


def lose(store: JobStore, *, begun: bool) -> Claim:
    """Let a new node claim the one job there is, and die; return what it had claimed."""
    node = join(store, "lost")
    (claim,) = store.claim(node, [want()])
    store.rescue(node, dead=True, begun={(claim.key, claim.fence)} if begun else set())
    return claim


def key_of(claim: Claim) -> int:
    """Return what claims are sorted by."""
    return claim.key


class NodeContract:
    """Joining, renewing, leaving, being lost."""

    def test_leaving_gives_back_what_is_held(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job(), new_job()])
        node = join(store)
        store.claim(node, [want()])
        store.leave(node)
        store.leave(node)
        again = store.claim(join(store, "other"), [want()])
        assert (ids(again), {claim.attempt for claim in again}) == (job_ids, {1})
        assert [line.outcome for line in store.history(job_ids[0])] == ["released", None]

    def test_nodes_are_seen_while_they_live(self, store: JobStore, clock: FrozenClock) -> None:
        store.enqueue_many([new_job()] * 3)
        node, gone = join(store), join(store, "gone")
        store.claim(node, [want(limit=2)])
        store.leave(gone)
        clock.advance(5)
        (record,) = store.nodes()
        assert (record.key, record.name, record.host, record.pid) == (node, "node", "host", 1)
        assert (record.expires_in, record.running) == (10.0, 2)
        assert store.renew(node, lease=LEASE) is not None
        assert store.nodes()[0].expires_in == LEASE

    def test_a_node_whose_lease_runs_is_not_rescued(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        store.claim(node, [want()])
        clock.advance(LEASE - 1)
        assert store.rescue(node, dead=False, begun=None) is None
        assert store.renew(node, lease=LEASE) is not None
        clock.advance(LEASE - 1)
        assert store.rescue(node, dead=False, begun=None) is None

    def test_a_node_whose_lease_ran_out_is_rescued_once(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        clock.advance(LEASE)
        rescued = store.rescue(node, dead=False, begun=None)
        assert rescued is not None
        assert (rescued.requeued, rescued.failed) == ([claim.key], [])
        assert store.rescue(node, dead=True, begun=None) is None
        assert store.nodes() == []

    def test_a_node_can_ask_what_it_holds(self, store: JobStore) -> None:
        store.enqueue_many([new_job(priority=1), new_job("other"), new_job()])
        node, other = join(store), join(store, "other")
        claims = store.claim(node, [want(limit=1), want("other")])
        store.claim(other, [want()])
        assert sorted(store.held(node), key=key_of) == sorted(claims, key=key_of)
        assert store.finish_many(node, [outcome(claims[0])]) == [True]
        assert store.held(node) == claims[1:]

    def test_a_node_that_is_gone_holds_nothing_and_learns_so(self, store: JobStore) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        store.claim(node, [want()])
        store.leave(node)
        with pytest.raises(LeaseLost):
            store.held(node)

    def test_a_node_whose_lease_ran_out_records_and_claims_nothing_before_it_renews(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_ids = store.enqueue_many([new_job()] * 2)
        node = join(store)
        (claim,) = store.claim(node, [want(limit=1)])
        clock.advance(LEASE)
        late = store.exchange(node, [outcome(claim)], [want()])
        assert late == Exchanged([True], [], None, lapsed=True)
        assert store.renew(node, lease=LEASE) is not None
        again = store.exchange(node, [], [want()])
        assert (ids(again.claims), again.lapsed) == (job_ids[1:], False)

    def test_so_many_suspects_are_handed_out_as_are_wanted(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        suspects = store.enqueue_many([new_job()] * 3)
        for _ in range(2):
            node = join(store)
            store.claim(node, [want()])
            store.rescue(node, dead=True, begun=None)
            clock.advance(5)
        innocent = store.enqueue_many([new_job(), new_job("other")])
        node = join(store)
        claims = store.claim(node, [want("task", "other", suspects=0)])
        assert ids(claims) == innocent
        store.finish_many(node, [outcome(claim, OutcomeKind.RELEASED) for claim in claims])
        first = store.claim(node, [want("task", "other", limit=2, suspects=1)])
        assert ids(first) == [suspects[0], innocent[0]]
        assert ids(store.claim(node, [want("task", "other")])) == [*suspects[1:], innocent[1]]

    def test_a_job_that_crashed_once_is_no_suspect_yet(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        lose(store, begun=True)
        assert ids(store.claim(join(store), [want(suspects=0)])) == [job_id]

    def test_an_unknown_node_is_not_rescued(self, store: JobStore) -> None:
        assert store.rescue(99, dead=True, begun=None) is None

    def test_a_clock_that_jumps_back_makes_no_second_lease(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        (old,) = store.claim(node, [want()])
        clock.advance(LEASE)
        store.rescue(node, dead=False, begun=set())
        clock.jump(-3600)
        (new,) = store.claim(join(store, "other"), [want()])
        assert new.fence > old.fence
        with pytest.raises(LeaseLost):
            store.finish_many(node, [outcome(old)])

    def test_a_lost_node_is_refused_and_its_job_runs_elsewhere(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        (old,) = store.claim(node, [want()])
        store.rescue(node, dead=True, begun=None)
        other = join(store, "other")
        (new,) = store.claim(other, [want()])
        with pytest.raises(LeaseLost):
            store.finish_many(node, [outcome(old, result=b"1")])
        assert store.finish_many(other, [outcome(new, result=b"2")]) == [True]
        assert found(store, job_id).result == b"2"

    def test_a_crash_is_charged_to_what_had_begun_and_to_nothing_else(
        self, store: JobStore
    ) -> None:
        job_ids = store.enqueue_many([new_job()] * 3)
        node = join(store)
        claims = store.claim(node, [want()])
        begun = {(claims[1].key, claims[1].fence), (claims[2].key, claims[2].fence + 1)}
        store.rescue(node, dead=True, begun=begun)
        assert [found(store, job_id).crashes for job_id in job_ids] == [0, 1, 0]
        assert [found(store, job_id).attempts for job_id in job_ids] == [0, 0, 0]
        again = store.claim(join(store, "other"), [want()])
        assert [(claim.attempt, claim.crashes) for claim in again] == [(1, 0), (1, 1), (1, 0)]

    def test_where_no_board_can_be_read_all_are_charged(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job()] * 2)
        node = join(store)
        store.claim(node, [want()])
        store.rescue(node, dead=True, begun=None)
        assert [found(store, job_id).crashes for job_id in job_ids] == [1, 1]

    def test_the_first_crash_keeps_its_place_and_the_second_waits(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        lose(store, begun=True)
        clock.advance(1)
        store.enqueue_many([new_job()])
        node = join(store)
        first, second = store.claim(node, [want()])
        assert first.id == job_id
        store.finish_many(node, [outcome(second)])
        store.rescue(node, dead=True, begun=None)
        waiting = store.exchange(join(store, "other"), [], [want()])
        assert (waiting.claims, waiting.next_due) == ([], 5.0)

    def test_the_third_crash_fails_the_job_with_the_evidence(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        for _ in range(3):
            lose(store, begun=True)
            clock.advance(30)
        end = store.ended([job_id])[job_id]
        assert (end.state, end.result) == (JobState.FAILED, None)
        assert end.failure is not None
        assert end.failure.type == "mainspring.errors.WorkerLost"
        assert "lost" in end.failure.message
        assert (found(store, job_id).crashes, found(store, job_id).attempts) == (3, 0)

    def test_each_crash_has_its_line_in_the_history(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        lose(store, begun=False)
        lose(store, begun=True)
        lose(store, begun=True)
        clock.advance(30)
        lose(store, begun=True)
        lines = store.history(job_id)
        assert [line.outcome for line in lines] == ["released", "crashed", "crashed", "failed"]
        assert [line.number for line in lines] == [1, 2, 3, 4]
        assert {line.node for line in lines} == {"lost"}

    def test_what_has_crashed_can_still_complete(self, store: JobStore) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        lose(store, begun=True)
        node = join(store)
        store.finish_many(node, [outcome(store.claim(node, [want()])[0])])
        record = found(store, job_id)
        assert (record.state, record.attempts, record.crashes) == (JobState.COMPLETED, 1, 1)

    def test_a_crash_reported_by_the_node_itself_counts_and_charges_no_attempt(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        for kind, delay in ((OutcomeKind.CRASHED, 0.0), (OutcomeKind.CRASHED, 5.0), (LAST, 0.0)):
            (claim,) = store.claim(node, [want()])
            ended = outcome(claim, kind, failure=BROKEN, delay=delay, crashed=kind is LAST)
            assert store.finish_many(node, [ended]) == [True]
            assert store.exchange(node, [], [want("other")]).next_due is None
            clock.advance(delay)
        record = found(store, job_id)
        assert (record.state, record.attempts, record.crashes) == (JobState.FAILED, 0, 3)
        assert record.failure == BROKEN
        assert [line.outcome for line in store.history(job_id)] == ["crashed", "crashed", "failed"]

    def test_a_crashed_job_keeps_its_place_unless_it_is_delayed(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        first, second = store.enqueue_many([new_job(), new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want(limit=1)])
        clock.advance(5)
        store.finish_many(node, [outcome(claim, OutcomeKind.CRASHED)])
        assert ids(store.claim(node, [want()])) == [first, second]

    def test_a_lost_node_without_jobs_is_removed(self, store: JobStore) -> None:
        rescued = store.rescue(join(store), dead=True, begun=None)
        assert rescued is not None
        assert (rescued.requeued, rescued.failed) == ([], [])

    def test_a_job_of_a_node_that_is_not_there_is_taken_from_it(
        self, store: JobStore, forge_node: Callable[[JobStore, str], None]
    ) -> None:
        job_ids = store.enqueue_many([new_job()] * 3)
        node = join(store)
        kept, *orphans = store.claim(node, [want()])
        for claim in orphans:
            forge_node(store, claim.id)
        store.cancel([orphans[1].id])
        rescued = store.rescue_orphans(limit=10)
        assert rescued is not None
        assert (rescued.requeued, rescued.failed) == ([orphans[0].key], [])
        assert rescued.cancelled == [orphans[1].key]
        record = found(store, job_ids[1])
        assert (record.state, record.crashes, record.attempts) == (JobState.PENDING, 1, 0)
        assert [line.outcome for line in store.history(job_ids[1])] == ["crashed"]
        assert found(store, job_ids[2]).state is JobState.CANCELLED
        assert store.finish_many(node, [outcome(claim) for claim in orphans]) == [False, False]
        assert store.rescue_orphans(limit=10) is None
        assert store.finish_many(node, [outcome(kept)]) == [True]
        assert ids(store.claim(node, [want()])) == [job_ids[1]]

    def test_a_job_of_a_node_that_is_not_there_crashes_three_times_at_most(
        self,
        store: JobStore,
        clock: FrozenClock,
        forge_node: Callable[[JobStore, str], None],
    ) -> None:
        (job_id,) = store.enqueue_many([new_job()])
        node = join(store)
        failed = []
        for _ in range(3):
            store.claim(node, [want()])
            forge_node(store, job_id)
            rescued = store.rescue_orphans(limit=10)
            failed += [] if rescued is None else rescued.failed
            clock.advance(LEASE - 1)
            store.renew(node, lease=LEASE)
        assert len(failed) == 1
        failure = store.ended([job_id])[job_id].failure
        assert failure is not None
        assert failure.type == "mainspring.errors.WorkerLost"
        assert found(store, job_id).state is JobState.FAILED

    def test_so_many_orphans_are_rescued_as_were_asked_for(
        self, store: JobStore, forge_node: Callable[[JobStore, str], None]
    ) -> None:
        store.enqueue_many([new_job()] * 3)
        for claim in store.claim(join(store), [want()]):
            forge_node(store, claim.id)
        rescues = [store.rescue_orphans(limit=2) for _ in range(3)]
        assert [one and len(one.requeued) for one in rescues] == [2, 1, None]

    def test_what_live_nodes_hold_is_no_orphan(self, store: JobStore, clock: FrozenClock) -> None:
        store.enqueue_many([new_job()])
        store.claim(join(store), [want()])
        clock.advance(2 * LEASE)
        assert store.rescue_orphans(limit=10) is None

    def test_old_final_jobs_are_dropped_and_others_stay(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_ids = store.enqueue_many([new_job(priority=number) for number in range(6)])
        node = join(store)
        claims = store.claim(node, [want(limit=4)])
        kinds = [OutcomeKind.COMPLETED, OutcomeKind.CANCELLED, OutcomeKind.FAILED]
        store.finish_many(
            node, [outcome(claim, kind) for claim, kind in zip(claims, kinds, strict=False)]
        )
        clock.advance(100)
        assert store.purge(completed_after=101, failed_after=101, limit=10) == 0
        assert store.purge(completed_after=100, failed_after=101, limit=10) == 2
        known = [store.get(job_id) is not None for job_id in job_ids]
        assert known == [False, False, True, True, True, True]
        assert store.purge(completed_after=100, failed_after=100, limit=10) == 1
        assert store.history(job_ids[2]) == []

    def test_a_purge_drops_no_more_than_its_limit(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job()] * 5)
        node = join(store)
        store.finish_many(node, [outcome(claim) for claim in store.claim(node, [want()])])
        clock.advance(1)
        dropped = [store.purge(completed_after=0, failed_after=0, limit=2) for _ in range(4)]
        assert dropped == [2, 2, 1, 0]
        assert store.stats().get("queue", {}).get("completed", 0) == 0
