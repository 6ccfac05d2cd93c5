"""The exchange, turn by turn: no outcome and no claim is lost, whatever the store does."""

from __future__ import annotations

import sqlite3
import time

import pytest

from mainspring.engine.claims.drain import STUBBORN_SECONDS
from mainspring.engine.claims.outbox import MOST_OUTCOMES
from mainspring.engine.claims.slots import REST_SECONDS, STALE_SECONDS
from mainspring.errors import LeaseLost, StoreBusy, StoreUnusable
from mainspring.model.events import AttemptsEnded, NodeLost, OutcomesRefused
from mainspring.model.job import Outcome, OutcomeKind, Want

BUSY = StoreBusy("jobs.db", 30.0, "somebody")
UNUSABLE = StoreUnusable("jobs.db", "the disk is full", "make room")
FOREIGN = sqlite3.OperationalError("disk I/O error")


def once(error):
    left = [error]
    return lambda *_, **__: left.pop() if left else None


def always(error):
    return lambda *_, **__: error


def told(desk, kind):
    return [event for event in desk.told if isinstance(event, kind)]


def test_it_claims_as_much_as_there_are_slots_and_no_more(desk):
    desk.enqueue(10)
    desk.exchange.turn()
    assert len(desk.shelf.line) == 4
    assert desk.memory.stats()["default"]["running"] == 4


def test_an_outcome_is_recorded_and_told_once(desk):
    ids = desk.enqueue()
    desk.exchange.turn()
    (claim,) = desk.shelf.begin()
    desk.end(claim)
    desk.exchange.turn()
    desk.exchange.turn()
    assert desk.states(ids) == ["completed"]
    assert [len(event.ended) for event in told(desk, AttemptsEnded)] == [1]


def test_an_outcome_comes_out_with_the_claims_that_take_its_place(desk):
    desk.enqueue(8)
    desk.exchange.turn()
    for claim in desk.shelf.begin(4):
        desk.end(claim)
    desk.store.calls.clear()
    desk.exchange.turn()
    assert [name for name, _ in desk.store.calls] == ["exchange"]
    assert len(desk.shelf.line) == 4


@pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN, RuntimeError("odd")])
def test_a_flush_that_fails_once_loses_nothing(desk, error):
    ids = desk.enqueue(4)
    desk.exchange.turn()
    for claim in desk.shelf.begin(4):
        desk.end(claim)
    desk.store.raises["exchange"] = once(error)
    errors = desk.turn_until(lambda: desk.states(ids) == ["completed"] * 4)
    assert errors == [error]


@pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN])
def test_a_store_that_is_away_for_long_turns_no_result_into_a_failure(desk, error):
    ids = desk.enqueue(4)
    desk.exchange.turn()
    for claim in desk.shelf.begin(4):
        desk.end(claim)
    desk.store.raises |= dict.fromkeys(["exchange", "finish_many"], always(error))
    with pytest.raises(AssertionError, match="not within"):
        desk.turn_until(lambda: False, most=40)
    desk.store.raises.clear()
    desk.turn_until(lambda: desk.states(ids) == ["completed"] * 4)
    assert not told(desk, OutcomesRefused)


@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_an_outcome_that_is_refused_fails_alone_and_says_why(make_desk, count, place):
    desk = make_desk(size=count)
    ids = desk.enqueue(count)
    desk.exchange.turn()
    claims = desk.shelf.begin(count)
    bad = {"first": 0, "last": count - 1, "middle": count // 2}[place]
    for number, claim in enumerate(claims):
        desk.end(claim, result=b"bad" if number == bad else b"1")

    def refuse(_node, outcomes, *_):
        return ValueError("no such result") if b"bad" in [one.result for one in outcomes] else None

    desk.store.raises |= {"exchange": refuse, "finish_many": refuse}
    desk.turn_until(lambda: "running" not in desk.states(ids), most=100)
    assert desk.states(ids).count("completed") == count - 1
    record = desk.memory.get(ids[bad])
    assert record.state == "failed"
    assert record.failure.message == "no such result"
    assert len(desk.memory.history(ids[bad])) == 1


def test_a_claim_that_goes_wrong_is_not_blamed_on_an_outcome(desk):
    ids = desk.enqueue(4)
    desk.exchange.turn()
    for claim in desk.shelf.begin(4):
        desk.end(claim)
    desk.enqueue(4)

    def refuse(_node, _outcomes, wants):
        return ValueError("a row that can't be read") if wants else None

    desk.store.raises["exchange"] = refuse
    desk.turn_until(lambda: desk.states(ids) == ["completed"] * 4)


def test_a_store_that_fails_at_claiming_only_is_asked_again(desk):
    ids = desk.enqueue(4)
    desk.store.raises["exchange"] = always(ValueError("no"))
    for _ in range(5):
        assert desk.exchange.due(time.monotonic()) == 0
        with pytest.raises(ValueError, match="no"):
            desk.exchange.turn()
    desk.store.raises.clear()
    desk.exchange.turn()
    assert desk.states(ids) == ["running"] * 4


def test_at_most_a_batch_goes_in_one_exchange(make_desk):
    count = MOST_OUTCOMES + 20
    desk = make_desk(size=count)
    ids = desk.enqueue(count)
    desk.turn_until(lambda: len(desk.shelf.line) == count)
    for claim in desk.shelf.begin(count):
        desk.end(claim)
    desk.turn_until(lambda: desk.states(ids) == ["completed"] * count)
    sizes = [len(args[1]) for name, args in desk.store.calls if name == "exchange"]
    assert max(sizes) == MOST_OUTCOMES


class TestAnswerLost:
    """The store did all that it was asked, and its answer never came."""

    ERRORS = pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN, RuntimeError("odd")])

    @ERRORS
    def test_claims_are_found_again_and_run(self, desk, error):
        ids = desk.enqueue(4)
        desk.store.loses["exchange"] = error
        desk.turn_until(lambda: len(desk.shelf.line) == 4)
        assert desk.slots.in_flight == desk.exchange.in_flight == 4
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        desk.turn_until(lambda: desk.states(ids) == ["completed"] * 4)

    @ERRORS
    def test_outcomes_are_told_once_and_none_is_refused(self, desk, error):
        ids = desk.enqueue(4)
        desk.exchange.turn()
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        desk.store.loses["exchange"] = error
        desk.turn_until(lambda: not desk.exchange.in_flight)
        assert desk.states(ids) == ["completed"] * 4
        assert sum(len(event.ended) for event in told(desk, AttemptsEnded)) == 4
        assert not told(desk, OutcomesRefused)

    def test_a_job_that_came_back_in_that_answer_runs_once_more(self, desk):
        desk.enqueue()
        desk.exchange.turn()
        (claim,) = desk.shelf.begin()
        desk.end(claim, OutcomeKind.RETRY)
        desk.store.loses["exchange"] = UNUSABLE
        desk.turn_until(lambda: desk.shelf.line)
        (again,) = desk.shelf.begin()
        assert (again.key, again.attempt, desk.exchange.in_flight) == (claim.key, 2, 1)
        desk.end(again)
        desk.turn_until(lambda: not desk.exchange.in_flight)
        assert desk.slots.in_flight == 0

    def test_a_node_that_was_lost_meanwhile_joins_anew(self, desk):
        ids = desk.enqueue()

        def rescued(node):
            desk.memory.rescue(node, dead=True, begun=frozenset())

        desk.store.raises["held"] = rescued
        desk.store.loses["exchange"] = UNUSABLE
        desk.turn_until(lambda: desk.shelf.line)
        assert len(told(desk, NodeLost)) == 1
        assert desk.memory.history(ids[0])[0].outcome == "released"

    def test_nobody_asks_while_every_answer_comes(self, desk):
        desk.enqueue()
        desk.exchange.turn()
        assert "held" not in [name for name, _ in desk.store.calls]


class TestLeaseLapsed:
    """The node lives, and nobody has rescued it, but its lease has run out."""

    @pytest.fixture
    def lapsed(self, desk):
        desk.renewals = 0

        def renew():
            desk.renewals += 1

        desk.exchange.on_lapse(renew)
        desk.memory.renew(desk.node.key, lease=0.0)
        return desk

    def test_it_asks_for_a_renewal_and_claims_nothing_before(self, lapsed):
        lapsed.enqueue()
        lapsed.exchange.turn()
        assert not lapsed.shelf.line
        assert lapsed.renewals == 1
        assert lapsed.exchange.due(time.monotonic()) is None
        lapsed.node.renew(lapsed.node.key)
        lapsed.exchange.renewed()
        lapsed.exchange.turn()
        assert len(lapsed.shelf.line) == 1

    def test_what_ended_is_recorded_all_the_same(self, desk):
        ids = desk.enqueue()
        desk.exchange.turn()
        (claim,) = desk.shelf.begin()
        desk.memory.renew(desk.node.key, lease=0.0)
        desk.end(claim)
        desk.exchange.turn()
        assert desk.states(ids) == ["completed"]


class TestSuspects:
    """Jobs whose next crash would be their last run one at a time."""

    def crash_twice(self, desk, ids):
        for _ in range(2):
            node = desk.memory.join("lost", host="host", pid=1, lease=15.0)
            desk.memory.claim(node, [Want(("t",), None, len(ids))])
            desk.memory.rescue(node, dead=True, begun=None)
            desk.clock.advance(5)

    def test_one_at_a_time_beside_any_number_of_others(self, make_desk):
        desk = make_desk(size=4)
        suspects = desk.enqueue(3)
        self.crash_twice(desk, suspects)
        desk.enqueue(2)
        for suspect in suspects:
            desk.exchange.turn()
            begun = desk.shelf.begin(4)
            assert [claim.id for claim in begun if claim.crashes == 2] == [suspect]
            for claim in begun:
                desk.end(claim)
        desk.turn_until(lambda: desk.states(suspects) == ["completed"] * 3)

    def test_the_next_comes_in_the_exchange_that_records_the_last(self, desk):
        suspects = desk.enqueue(2)
        self.crash_twice(desk, suspects)
        desk.exchange.turn()
        (claim,) = desk.shelf.begin(4)
        desk.end(claim)
        desk.exchange.turn()
        assert [claim.id for claim in desk.shelf.line] == suspects[1:]


class TestLeaseLost:
    def rescue(self, desk):
        desk.memory.rescue(desk.node.key, dead=True, begun=frozenset())

    def test_found_at_a_flush_the_node_joins_anew_and_goes_on(self, desk):
        ids = desk.enqueue(6)
        desk.exchange.turn()
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        lost = desk.node.key
        self.rescue(desk)
        desk.turn_until(lambda: desk.node.key != lost)
        desk.turn_until(lambda: len(desk.shelf.line) == 4)
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        desk.turn_until(lambda: desk.states(ids)[:4] == ["completed"] * 4)
        assert [event.node for event in told(desk, NodeLost)] != [desk.node.name]
        assert len(told(desk, NodeLost)) == 1

    def test_told_by_the_heartbeat_it_drops_claims_and_outcomes(self, desk):
        ids = desk.enqueue(4)
        desk.exchange.turn()
        desk.shelf.begin(2)
        self.rescue(desk)
        desk.exchange.lose(desk.node.key)
        assert desk.exchange.due(time.monotonic()) == 0
        desk.exchange.turn()
        assert desk.shelf.interrupted == 1
        assert [node.running for node in desk.memory.nodes()] == [len(desk.shelf.line)] == [2]
        assert desk.states(ids) == ["running"] * 2 + ["pending"] * 2

    def test_a_loss_that_is_told_late_does_not_cost_the_new_node_its_claims(self, desk):
        # The heartbeat and the exchange both find out, one after the other, when both were stopped.
        desk.enqueue(4)
        desk.exchange.turn()
        lost = desk.node.key
        self.rescue(desk)
        desk.exchange.lose(lost)
        desk.turn_until(lambda: desk.node.key != lost)
        desk.turn_until(lambda: len(desk.shelf.line) == 4)
        desk.exchange.lose(lost)
        desk.exchange.turn()
        assert len(desk.shelf.line) == 4
        assert len(told(desk, NodeLost)) == 1
        assert [node.running for node in desk.memory.nodes()] == [4]

    def test_a_join_that_fails_is_tried_again(self, desk):
        ids = desk.enqueue(4)
        desk.exchange.turn()
        lost = desk.node.key
        self.rescue(desk)
        desk.store.raises["join"] = once(BUSY)
        desk.exchange.lose(lost)
        errors = desk.turn_until(lambda: desk.node.key != lost)
        assert errors == [BUSY]
        desk.turn_until(lambda: len(desk.shelf.line) == 4)
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        desk.turn_until(lambda: desk.states(ids) == ["completed"] * 4)

    def test_a_late_outcome_of_the_lost_node_is_refused_and_changes_nothing(self, desk):
        ids = desk.enqueue()
        desk.exchange.turn()
        (stale,) = desk.shelf.begin()
        lost = desk.node.key
        self.rescue(desk)
        desk.exchange.lose(lost)
        desk.turn_until(lambda: len(desk.shelf.line) == 1)
        desk.end(stale, result=b'"late"')
        desk.exchange.turn()
        assert len(told(desk, OutcomesRefused)) == 1
        (fresh,) = desk.shelf.begin()
        assert (fresh.key, fresh.fence) == (stale.key, stale.fence + 1)
        desk.end(fresh)
        desk.exchange.turn()
        assert desk.memory.get(ids[0]).result == b"1"

    def test_lost_while_it_drains_it_is_drained_and_joins_no_more(self, desk):
        desk.enqueue(4)
        desk.exchange.turn()
        desk.shelf.begin(4)
        desk.exchange.drain(30.0)
        self.rescue(desk)
        desk.exchange.lose(desk.node.key)
        desk.exchange.turn()
        assert desk.exchange.drained
        assert desk.memory.nodes() == []


class TestDraining:
    def test_what_has_not_begun_goes_back_uncharged(self, desk):
        ids = desk.enqueue(4)
        desk.exchange.turn()
        running = desk.shelf.begin(1)
        desk.exchange.drain(30.0)
        desk.exchange.turn()
        assert sorted(desk.states(ids)) == ["pending"] * 3 + ["running"]
        assert not desk.exchange.drained
        desk.end(running[0])
        desk.exchange.turn()
        assert desk.exchange.drained
        assert sorted(desk.states(ids)) == ["completed"] + ["pending"] * 3

    def test_nothing_is_claimed_any_more(self, desk):
        desk.exchange.drain(30.0)
        desk.enqueue(4)
        desk.exchange.ring()
        desk.exchange.turn()
        assert not desk.shelf.line
        assert desk.exchange.drained

    def test_after_the_grace_bodies_are_interrupted_and_then_disowned(self, desk, eventually):
        ids = desk.enqueue()
        desk.exchange.turn()
        desk.shelf.begin()
        desk.exchange.drain(0.0)
        desk.exchange.turn()
        assert desk.shelf.interrupted == 1
        assert not desk.exchange.drained
        assert 0 < desk.exchange.due(time.monotonic()) <= STUBBORN_SECONDS
        desk.exchange._drain._deadline = time.monotonic()
        desk.turn_until(lambda: desk.exchange.drained)
        assert desk.states(ids) == ["pending"]
        assert desk.memory.get(ids[0]).attempts == 0

    def test_a_body_that_ends_while_it_is_disowned_keeps_its_result(self, desk):
        ids = desk.enqueue(2)
        desk.exchange.turn()
        one, _ = desk.shelf.begin(2)
        desk.exchange.drain(0.0)
        desk.exchange.turn()
        desk.end(one)
        desk.exchange._drain._deadline = time.monotonic()
        desk.turn_until(lambda: desk.exchange.drained)
        assert sorted(desk.states(ids)) == ["completed", "pending"]
        assert not told(desk, OutcomesRefused)

    def test_asked_again_the_shorter_grace_holds(self, desk):
        desk.exchange.drain(30.0)
        desk.exchange.drain(1.0)
        desk.exchange.drain(20.0)
        assert desk.exchange.due(time.monotonic()) <= 1.0

    def test_a_store_that_is_busy_meanwhile_delays_the_end_and_loses_nothing(self, desk):
        ids = desk.enqueue(4)
        desk.exchange.turn()
        for claim in desk.shelf.begin(2):
            desk.end(claim)
        desk.exchange.drain(30.0)
        desk.store.raises["exchange"] = once(BUSY)
        desk.turn_until(lambda: desk.exchange.drained)
        assert sorted(desk.states(ids)) == ["completed"] * 2 + ["pending"] * 2


class TestPrefetch:
    def test_claims_that_no_slot_takes_in_time_go_back_uncharged(self, make_desk):
        desk = make_desk(size=2, run_seconds=0.001)
        ids = desk.enqueue(50)
        desk.exchange.turn()
        assert len(desk.shelf.line) == 50
        desk.shelf.begin(2)
        desk.shelf.since = time.monotonic()
        wait = desk.exchange.due(time.monotonic())
        assert 0 < wait <= STALE_SECONDS
        desk.slots._batches[0] = (time.monotonic() - STALE_SECONDS, 50)
        assert desk.exchange.due(time.monotonic()) <= 0
        desk.shelf.since = time.monotonic() - 1.0
        desk.exchange.turn()
        assert desk.states(ids).count("pending") == 48
        assert {desk.memory.get(one).attempts for one in ids} == {0, 1}
        assert not desk.shelf.line

    def test_a_body_that_takes_long_already_stops_the_prefetch(self, make_desk):
        desk = make_desk(size=2, run_seconds=0.001)
        desk.shelf.begun = [object(), object()]
        desk.shelf.since = time.monotonic() - 1.0
        desk.enqueue(50)
        desk.exchange.turn()
        assert not desk.shelf.line

    def test_an_executor_that_takes_nothing_does_not_claim_and_release_in_a_circle(self, make_desk):
        # As when a coroutine blocks its loop: one body runs, the other slots look free.
        desk = make_desk(size=10)
        ids = desk.enqueue(10)
        desk.exchange.turn()
        desk.shelf.begin(1)
        desk.shelf.since = time.monotonic()
        desk.slots._batches[0] = (time.monotonic() - STALE_SECONDS, 10)
        for _ in range(5):
            desk.exchange.turn()
            assert desk.states(ids).count("running") == 1
        assert 0 < desk.exchange.due(time.monotonic()) <= REST_SECONDS
        (body,) = desk.shelf.begun
        desk.end(body)
        desk.turn_until(lambda: len(desk.shelf.line) == 9)

    def test_an_outcome_waits_a_moment_only_while_the_slots_have_work(self, make_desk):
        desk = make_desk(size=1, run_seconds=0.001)
        desk.enqueue(40)
        desk.exchange.turn()
        (claim,) = desk.shelf.begin()
        assert not desk.slots.low()
        # Asleep until then, for nobody wakes it while there are claims to begin.
        now = time.monotonic()
        assert desk.exchange.due(now) <= 0.05
        desk.end(claim, began=now, ended=now)
        assert desk.exchange.due(now) <= 0.05

    def test_a_node_with_free_slots_and_no_work_sleeps_until_it_is_woken(self, desk):
        desk.exchange.turn()
        assert desk.exchange.due(time.monotonic()) is None


def test_a_delayed_job_is_looked_for_when_it_is_due(desk):
    desk.enqueue(delay=0.2)
    desk.exchange.turn()
    assert 0 < desk.exchange.due(time.monotonic()) <= 0.2


def test_two_outcomes_for_one_claim_are_recorded_as_the_first(desk):
    ids = desk.enqueue()
    desk.exchange.turn()
    (claim,) = desk.shelf.begin()
    desk.end(claim)
    desk.exchange.put(Outcome(claim.key, claim.fence, OutcomeKind.FAILED, 1.0, 1.1))
    desk.exchange.turn()
    assert desk.states(ids) == ["completed"]
    assert len(told(desk, OutcomesRefused)) == 1


def test_a_lease_that_is_lost_again_and_again_costs_no_job(desk):
    ids = desk.enqueue(8)
    lost = [True] * 5

    def lose(node, *_):
        if lost:
            lost.pop()
            desk.memory.rescue(node, dead=True, begun=frozenset())
            return LeaseLost(str(node))
        return None

    desk.store.raises["exchange"] = lose

    def work():
        for claim in desk.shelf.begin(4):
            desk.end(claim)
        return desk.states(ids) == ["completed"] * 8

    desk.turn_until(work)
    assert len(desk.memory.nodes()) == 1


def test_a_slot_that_hears_claims_in_its_own_thread(desk):
    desk.enqueue(3)
    desk.exchange.turn()
    desk.shelf.begin(3)
    desk.enqueue()
    desk.exchange.heard()
    assert len(desk.shelf.line) == 1


def test_a_slot_that_hears_while_another_turns_leaves_it_to_the_exchange(desk):
    desk.exchange.turn()
    desk.enqueue()
    with desk.exchange._turning:
        desk.exchange.heard()
    assert not desk.shelf.line
    assert desk.woken.is_set()
    assert desk.exchange.due(time.monotonic()) == 0.0


def test_a_slot_that_hears_during_the_drain_claims_nothing(desk):
    desk.exchange.turn()
    desk.enqueue()
    desk.exchange.drain(30)
    desk.exchange.heard()
    assert desk.exchange.drained
    assert not desk.shelf.line


def test_it_is_not_drained_while_a_slot_turns(desk):
    drained = []
    desk.enqueue()

    def drain_meanwhile(*_, **__):
        desk.exchange.drain(30)
        drained.append(desk.exchange.drained)

    desk.store.raises["exchange"] = drain_meanwhile
    desk.exchange.heard()
    assert drained[0] is False
    desk.store.raises.clear()
    desk.turn_until(lambda: desk.exchange.drained)
    assert desk.memory.stats()["default"]["running"] == 0
