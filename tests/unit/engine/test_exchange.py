"""The exchange, turn by turn: no outcome and no claim is lost, whatever the store does."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.engine.claims.drain import STUBBORN_SECONDS
from mainspring.engine.claims.outbox import MOST_OUTCOMES
from mainspring.engine.claims.slots import REST_SECONDS, STALE_SECONDS, Slots
from mainspring.errors import LeaseLost, StoreBusy, StoreUnusable
from mainspring.model.events import AttemptsEnded, ConsumerUnhealthy, NodeLost, OutcomesRefused
from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want

BUSY = StoreBusy("jobs.db", 30.0, "somebody")
UNUSABLE = StoreUnusable("jobs.db", "the disk is full", "make room")
FOREIGN = sqlite3.OperationalError("disk I/O error")


def once(error):
    left = [error]
    return lambda *_, **__: left.pop() if left else None


def always(error):
    return lambda *_, **__: error


def told(client, kind):
    return [event for event in client.told if isinstance(event, kind)]


def test_it_claims_as_much_as_there_are_slots_and_no_more(client):
    client.enqueue(10)
    client.exchange.turn()
    assert len(client.sink.line) == 4
    assert client.memory.stats()["default"]["running"] == 4


def test_an_outcome_is_recorded_and_told_once(client):
    ids = client.enqueue()
    client.exchange.turn()
    (claim,) = client.sink.begin()
    client.end(claim)
    client.exchange.turn()
    client.exchange.turn()
    assert client.states(ids) == ["completed"]
    assert [len(event.ended) for event in told(client, AttemptsEnded)] == [1]


def test_an_outcome_comes_out_with_the_claims_that_take_its_place(client):
    client.enqueue(8)
    client.exchange.turn()
    for claim in client.sink.begin(4):
        client.end(claim)
    client.store.calls.clear()
    client.exchange.turn()
    assert [name for name, _ in client.store.calls] == ["exchange"]
    assert len(client.sink.line) == 4


@pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN, RuntimeError("odd")])
def test_a_flush_that_fails_once_loses_nothing(client, error):
    ids = client.enqueue(4)
    client.exchange.turn()
    for claim in client.sink.begin(4):
        client.end(claim)
    client.store.raises["exchange"] = once(error)
    errors = client.turn_until(lambda: client.states(ids) == ["completed"] * 4)
    assert errors == [error]


@pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN])
def test_a_store_that_is_away_for_long_turns_no_result_into_a_failure(client, error):
    ids = client.enqueue(4)
    client.exchange.turn()
    for claim in client.sink.begin(4):
        client.end(claim)
    client.store.raises |= dict.fromkeys(["exchange", "finish_many"], always(error))
    with pytest.raises(AssertionError, match="not within"):
        client.turn_until(lambda: False, most=40)
    client.store.raises.clear()
    client.turn_until(lambda: client.states(ids) == ["completed"] * 4)
    assert not told(client, OutcomesRefused)


@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_an_outcome_that_is_refused_fails_alone_and_says_why(make_desk, count, place):
    client = make_desk(size=count)
    ids = client.enqueue(count)
    client.exchange.turn()
    claims = client.sink.begin(count)
    bad = {"first": 0, "last": count - 1, "middle": count // 2}[place]
    for number, claim in enumerate(claims):
        client.end(claim, result=b"bad" if number == bad else b"1")

    def refuse(_node, outcomes, *_):
        return ValueError("no such result") if b"bad" in [one.result for one in outcomes] else None

    client.store.raises |= {"exchange": refuse, "finish_many": refuse}
    client.turn_until(lambda: "running" not in client.states(ids), most=100)
    assert client.states(ids).count("completed") == count - 1
    record = client.memory.get(ids[bad])
    assert record.state == "failed"
    assert record.failure.message == "no such result"
    assert len(client.memory.history(ids[bad])) == 1


def test_a_claim_that_goes_wrong_is_not_blamed_on_an_outcome(client):
    ids = client.enqueue(4)
    client.exchange.turn()
    for claim in client.sink.begin(4):
        client.end(claim)
    client.enqueue(4)

    def refuse(_node, _outcomes, wants):
        return ValueError("a row that can't be read") if wants else None

    client.store.raises["exchange"] = refuse
    client.turn_until(lambda: client.states(ids) == ["completed"] * 4)


def test_a_store_that_fails_at_claiming_only_is_asked_again(client):
    ids = client.enqueue(4)
    client.store.raises["exchange"] = always(ValueError("no"))
    for _ in range(5):
        assert client.exchange.due(time.monotonic()) == 0
        with pytest.raises(ValueError, match="no"):
            client.exchange.turn()
    client.store.raises.clear()
    client.exchange.turn()
    assert client.states(ids) == ["running"] * 4


def test_at_most_a_batch_goes_in_one_exchange(make_desk):
    count = MOST_OUTCOMES + 20
    client = make_desk(size=count)
    ids = client.enqueue(count)
    client.turn_until(lambda: len(client.sink.line) == count)
    for claim in client.sink.begin(count):
        client.end(claim)
    client.turn_until(lambda: client.states(ids) == ["completed"] * count)
    sizes = [len(args[1]) for name, args in client.store.calls if name == "exchange"]
    assert max(sizes) == MOST_OUTCOMES


class TestAnswerLost:
    """The store did all that it was asked, and its answer never came."""

    ERRORS = pytest.mark.parametrize("error", [BUSY, UNUSABLE, FOREIGN, RuntimeError("odd")])

    @ERRORS
    def test_claims_are_found_again_and_run(self, client, error):
        ids = client.enqueue(4)
        client.store.loses["exchange"] = error
        client.turn_until(lambda: len(client.sink.line) == 4)
        assert client.slots.in_flight == client.exchange.in_flight == 4
        for claim in client.sink.begin(4):
            client.end(claim)
        client.turn_until(lambda: client.states(ids) == ["completed"] * 4)

    @ERRORS
    def test_outcomes_are_told_once_and_none_is_refused(self, client, error):
        ids = client.enqueue(4)
        client.exchange.turn()
        for claim in client.sink.begin(4):
            client.end(claim)
        client.store.loses["exchange"] = error
        client.turn_until(lambda: not client.exchange.in_flight)
        assert client.states(ids) == ["completed"] * 4
        assert sum(len(event.ended) for event in told(client, AttemptsEnded)) == 4
        assert not told(client, OutcomesRefused)

    def test_a_job_that_came_back_in_that_answer_runs_once_more(self, client):
        client.enqueue()
        client.exchange.turn()
        (claim,) = client.sink.begin()
        client.end(claim, OutcomeKind.RETRY)
        client.store.loses["exchange"] = UNUSABLE
        client.turn_until(lambda: client.sink.line)
        (again,) = client.sink.begin()
        assert (again.key, again.attempt, client.exchange.in_flight) == (claim.key, 2, 1)
        client.end(again)
        client.turn_until(lambda: not client.exchange.in_flight)
        assert client.slots.in_flight == 0

    def test_a_node_that_was_lost_meanwhile_joins_anew(self, client):
        ids = client.enqueue()

        def rescued(node):
            client.memory.rescue(node, dead=True, begun=frozenset())

        client.store.raises["held"] = rescued
        client.store.loses["exchange"] = UNUSABLE
        client.turn_until(lambda: client.sink.line)
        assert len(told(client, NodeLost)) == 1
        assert client.memory.history(ids[0])[0].outcome == "released"

    def test_nobody_asks_while_every_answer_comes(self, client):
        client.enqueue()
        client.exchange.turn()
        assert "held" not in [name for name, _ in client.store.calls]


class TestLeaseLapsed:
    """The node lives, and nobody has rescued it, but its lease has run out."""

    @pytest.fixture
    def lapsed(self, client):
        client.renewals = 0

        def renew():
            client.renewals += 1

        client.exchange.on_lapse(renew)
        client.memory.renew(client.node.key, lease=0.0)
        return client

    def test_it_asks_for_a_renewal_and_claims_nothing_before(self, lapsed):
        lapsed.enqueue()
        lapsed.exchange.turn()
        assert not lapsed.sink.line
        assert lapsed.renewals == 1
        assert lapsed.exchange.due(time.monotonic()) is None
        lapsed.node.renew(lapsed.node.key)
        lapsed.exchange.renewed()
        lapsed.exchange.turn()
        assert len(lapsed.sink.line) == 1

    def test_what_ended_is_recorded_all_the_same(self, client):
        ids = client.enqueue()
        client.exchange.turn()
        (claim,) = client.sink.begin()
        client.memory.renew(client.node.key, lease=0.0)
        client.end(claim)
        client.exchange.turn()
        assert client.states(ids) == ["completed"]


def enqueue_other(client):
    return client.memory.enqueue_many([NewJob("other", "default", b"[[],{}]")])[0]


class TestSuspects:
    """Jobs whose next crash would be their last run one at a time."""

    def crash_twice(self, client, ids, task="t"):
        for _ in range(2):
            node = client.memory.join("lost", host="host", pid=1, lease=15.0)
            client.memory.claim(node, [Want((task,), None, len(ids))])
            client.memory.rescue(node, dead=True, begun=None)
            client.clock.advance(5)

    def test_one_at_a_time_beside_any_number_of_others(self, make_desk):
        client = make_desk(size=4)
        suspects = client.enqueue(3)
        self.crash_twice(client, suspects)
        client.enqueue(2)
        for suspect in suspects:
            client.exchange.turn()
            begun = client.sink.begin(4)
            assert [claim.id for claim in begun if claim.crashes == 2] == [suspect]
            for claim in begun:
                client.end(claim)
        client.turn_until(lambda: client.states(suspects) == ["completed"] * 3)

    def test_the_next_comes_in_the_exchange_that_records_the_last(self, client):
        suspects = client.enqueue(2)
        self.crash_twice(client, suspects)
        client.exchange.turn()
        (claim,) = client.sink.begin(4)
        client.end(claim)
        client.exchange.turn()
        assert [claim.id for claim in client.sink.line] == suspects[1:]

    def test_one_at_a_time_also_where_tasks_have_slots_of_their_own(self, client, make_sink):
        client.memory.renew(client.node.key, lease=1000.0)
        other = Slots(make_sink(1), ("other",))
        client.exchange.serve(other)
        suspects = [client.enqueue()[0], enqueue_other(client)]
        self.crash_twice(client, suspects[:1])
        self.crash_twice(client, suspects[1:], task="other")
        for expected in (["running", "pending"], ["completed", "running"]):
            client.turn_until(lambda: client.exchange.due(time.monotonic()) != 0)
            assert client.states(suspects) == expected
            for claim in client.sink.begin(4):
                client.end(claim)
            client.turn_until(lambda: client.exchange.due(time.monotonic()) != 0)

    def test_one_that_an_answer_has_lost_waits_for_the_one_that_runs(self, client):
        client.memory.renew(client.node.key, lease=1000.0)
        suspects = client.enqueue(2)
        self.crash_twice(client, suspects)
        client.exchange.turn()
        (lost,) = client.memory.claim(client.node.key, [Want(("t",), None, 1)])
        assert lost.id == suspects[1]
        client.exchange.compare()
        client.turn_until(lambda: client.states(suspects) == ["running", "pending"])

    def test_the_next_comes_when_a_slot_is_free_that_was_not_as_the_last_ended(
        self, client, make_sink
    ):
        """Of tasks whose slots are others': nobody says again that it waits there."""
        client.memory.renew(client.node.key, lease=1000.0)
        other = Slots(make_sink(1), ("other",))
        other._run_seconds = 0.001
        client.exchange.serve(other)
        self.crash_twice(client, client.enqueue())
        client.exchange.turn()
        (suspect,) = client.sink.begin(1)
        waiting = enqueue_other(client)
        self.crash_twice(client, [waiting], task="other")
        enqueue_other(client)
        client.exchange.notify()
        client.exchange.turn()
        (long,) = other.executor.begin(1)
        other.executor.since = time.monotonic() - 10
        client.end(suspect)
        client.exchange.turn()
        assert client.states([waiting]) == ["pending"]
        other.executor.begun.clear()
        client.exchange.put(Outcome(long.key, long.fence, OutcomeKind.COMPLETED, result=b"1"))
        while client.exchange.due(time.monotonic()) == 0:
            client.exchange.turn()
        assert client.states([waiting]) == ["running"]


def test_slots_full_of_abandoned_bodies_are_told_of_with_the_last_outcome(make_desk):
    client = make_desk(size=2)
    client.enqueue()
    client.exchange.turn()
    (claim,) = client.sink.begin()
    client.sink.abandoned = 2
    client.end(claim)
    client.exchange.turn()
    assert ConsumerUnhealthy(client.node.name, 2) in client.told


class TestLeaseLost:
    def rescue(self, client):
        client.memory.rescue(client.node.key, dead=True, begun=frozenset())

    def test_found_at_a_flush_the_node_joins_anew_and_goes_on(self, client):
        ids = client.enqueue(6)
        client.exchange.turn()
        for claim in client.sink.begin(4):
            client.end(claim)
        lost = client.node.key
        self.rescue(client)
        client.turn_until(lambda: client.node.key != lost)
        client.turn_until(lambda: len(client.sink.line) == 4)
        for claim in client.sink.begin(4):
            client.end(claim)
        client.turn_until(lambda: client.states(ids)[:4] == ["completed"] * 4)
        assert [event.node for event in told(client, NodeLost)] != [client.node.name]
        assert len(told(client, NodeLost)) == 1

    def test_told_by_the_heartbeat_it_drops_claims_and_outcomes(self, client):
        ids = client.enqueue(4)
        client.exchange.turn()
        client.sink.begin(2)
        self.rescue(client)
        client.exchange.lose(client.node.key)
        assert client.exchange.due(time.monotonic()) == 0
        client.exchange.turn()
        assert client.sink.interrupted == 1
        assert [node.running for node in client.memory.nodes()] == [len(client.sink.line)] == [2]
        assert client.states(ids) == ["running"] * 2 + ["pending"] * 2

    def test_a_loss_that_is_told_late_does_not_cost_the_new_node_its_claims(self, client):
        # The heartbeat and the exchange both find out, one after the other, when both were stopped.
        client.enqueue(4)
        client.exchange.turn()
        lost = client.node.key
        self.rescue(client)
        client.exchange.lose(lost)
        client.turn_until(lambda: client.node.key != lost)
        client.turn_until(lambda: len(client.sink.line) == 4)
        client.exchange.lose(lost)
        client.exchange.turn()
        assert len(client.sink.line) == 4
        assert len(told(client, NodeLost)) == 1
        assert [node.running for node in client.memory.nodes()] == [4]

    def test_a_join_that_fails_is_tried_again(self, client):
        ids = client.enqueue(4)
        client.exchange.turn()
        lost = client.node.key
        self.rescue(client)
        client.store.raises["join"] = once(BUSY)
        client.exchange.lose(lost)
        errors = client.turn_until(lambda: client.node.key != lost)
        assert errors == [BUSY]
        assert len(told(client, NodeLost)) == 1
        client.turn_until(lambda: len(client.sink.line) == 4)
        for claim in client.sink.begin(4):
            client.end(claim)
        client.turn_until(lambda: client.states(ids) == ["completed"] * 4)

    def test_a_late_outcome_of_the_lost_node_is_refused_and_changes_nothing(self, client):
        ids = client.enqueue()
        client.exchange.turn()
        (stale,) = client.sink.begin()
        lost = client.node.key
        self.rescue(client)
        client.exchange.lose(lost)
        client.turn_until(lambda: len(client.sink.line) == 1)
        client.end(stale, result=b'"late"')
        client.exchange.turn()
        assert len(told(client, OutcomesRefused)) == 1
        (fresh,) = client.sink.begin()
        assert (fresh.key, fresh.fence) == (stale.key, stale.fence + 1)
        client.end(fresh)
        client.exchange.turn()
        assert client.memory.get(ids[0]).result == b"1"

    def test_lost_while_it_drains_it_is_drained_and_joins_no_more(self, client):
        client.enqueue(4)
        client.exchange.turn()
        client.sink.begin(4)
        client.exchange.drain(30.0)
        self.rescue(client)
        client.exchange.lose(client.node.key)
        client.exchange.turn()
        assert client.exchange.drained
        assert client.memory.nodes() == []


class TestDraining:
    def test_what_has_not_begun_goes_back_uncharged(self, client):
        ids = client.enqueue(4)
        client.exchange.turn()
        running = client.sink.begin(1)
        client.exchange.drain(30.0)
        client.exchange.turn()
        assert sorted(client.states(ids)) == ["pending"] * 3 + ["running"]
        assert not client.exchange.drained
        client.end(running[0])
        client.exchange.turn()
        assert client.exchange.drained
        assert sorted(client.states(ids)) == ["completed"] + ["pending"] * 3

    def test_nothing_is_claimed_any_more(self, client):
        client.exchange.drain(30.0)
        client.enqueue(4)
        client.exchange.notify()
        client.exchange.turn()
        assert not client.sink.line
        assert client.exchange.drained

    def test_after_the_grace_bodies_are_interrupted_and_then_disowned(self, client, eventually):
        ids = client.enqueue()
        client.exchange.turn()
        client.sink.begin()
        client.exchange.drain(0.0)
        client.exchange.turn()
        assert client.sink.interrupted == 1
        assert not client.exchange.drained
        assert 0 < client.exchange.due(time.monotonic()) <= STUBBORN_SECONDS
        client.exchange._drain._deadline = time.monotonic()
        client.turn_until(lambda: client.exchange.drained)
        assert client.states(ids) == ["pending"]
        assert client.memory.get(ids[0]).attempts == 0

    def test_a_body_that_ends_while_it_is_disowned_keeps_its_result(self, client):
        ids = client.enqueue(2)
        client.exchange.turn()
        one, _ = client.sink.begin(2)
        client.exchange.drain(0.0)
        client.exchange.turn()
        client.end(one)
        client.exchange._drain._deadline = time.monotonic()
        client.turn_until(lambda: client.exchange.drained)
        assert sorted(client.states(ids)) == ["completed", "pending"]
        assert not told(client, OutcomesRefused)

    def test_asked_again_the_shorter_grace_holds(self, client):
        client.exchange.drain(30.0)
        client.exchange.drain(1.0)
        client.exchange.drain(20.0)
        assert client.exchange.due(time.monotonic()) <= 1.0

    def test_a_store_that_is_busy_meanwhile_delays_the_end_and_loses_nothing(self, client):
        ids = client.enqueue(4)
        client.exchange.turn()
        for claim in client.sink.begin(2):
            client.end(claim)
        client.exchange.drain(30.0)
        client.store.raises["exchange"] = once(BUSY)
        client.turn_until(lambda: client.exchange.drained)
        assert sorted(client.states(ids)) == ["completed"] * 2 + ["pending"] * 2


class TestPrefetch:
    def test_claims_that_no_slot_takes_in_time_go_back_uncharged(self, make_desk):
        client = make_desk(size=2, run_seconds=0.001)
        ids = client.enqueue(50)
        client.exchange.turn()
        assert len(client.sink.line) == 50
        client.sink.begin(2)
        client.sink.since = time.monotonic()
        wait = client.exchange.due(time.monotonic())
        assert 0 < wait <= STALE_SECONDS
        client.slots._batches[0] = (time.monotonic() - STALE_SECONDS, 50)
        assert client.exchange.due(time.monotonic()) <= 0
        client.sink.since = time.monotonic() - 1.0
        client.exchange.turn()
        assert client.states(ids).count("pending") == 48
        assert {client.memory.get(one).attempts for one in ids} == {0, 1}
        assert not client.sink.line

    def test_a_body_that_takes_long_already_stops_the_prefetch(self, make_desk):
        client = make_desk(size=2, run_seconds=0.001)
        client.sink.begun = [object(), object()]
        client.sink.since = time.monotonic() - 1.0
        client.enqueue(50)
        client.exchange.turn()
        assert not client.sink.line

    def test_an_executor_that_takes_nothing_does_not_claim_and_release_in_a_circle(self, make_desk):
        # As when a coroutine blocks its loop: one body runs, the other slots look free.
        client = make_desk(size=10)
        ids = client.enqueue(10)
        client.exchange.turn()
        client.sink.begin(1)
        client.sink.since = time.monotonic()
        client.slots._batches[0] = (time.monotonic() - STALE_SECONDS, 10)
        for _ in range(5):
            client.exchange.turn()
            assert client.states(ids).count("running") == 1
        assert 0 < client.exchange.due(time.monotonic()) <= REST_SECONDS
        (body,) = client.sink.begun
        client.end(body)
        client.turn_until(lambda: len(client.sink.line) == 9)

    def test_an_outcome_waits_a_moment_only_while_the_slots_have_work(self, make_desk):
        client = make_desk(size=1, run_seconds=0.001)
        client.enqueue(40)
        client.exchange.turn()
        (claim,) = client.sink.begin()
        assert client.slots.executor.waiting() > client.slots.low_water
        # Asleep until then, for nobody wakes it while there are claims to begin.
        now = time.monotonic()
        assert client.exchange.due(now) <= 0.05
        client.end(claim, began=now, ended=now)
        assert client.exchange.due(now) <= 0.05

    def test_a_node_with_free_slots_and_no_work_sleeps_until_it_is_woken(self, client):
        client.exchange.turn()
        assert client.exchange.due(time.monotonic()) is None


def test_a_delayed_job_is_looked_for_when_it_is_due(client):
    client.enqueue(delay=0.2)
    client.exchange.turn()
    assert 0 < client.exchange.due(time.monotonic()) <= 0.2


def test_two_outcomes_for_one_claim_are_recorded_as_the_first(client):
    ids = client.enqueue()
    client.exchange.turn()
    (claim,) = client.sink.begin()
    client.end(claim)
    client.exchange.put(Outcome(claim.key, claim.fence, OutcomeKind.FAILED, 1.0, 1.1))
    client.exchange.turn()
    assert client.states(ids) == ["completed"]
    assert len(told(client, OutcomesRefused)) == 1


def test_a_lease_that_is_lost_again_and_again_costs_no_job(client):
    ids = client.enqueue(8)
    lost = [True] * 5

    def lose(node, *_):
        if lost:
            lost.pop()
            client.memory.rescue(node, dead=True, begun=frozenset())
            return LeaseLost(str(node))
        return None

    client.store.raises["exchange"] = lose

    def work():
        for claim in client.sink.begin(4):
            client.end(claim)
        return client.states(ids) == ["completed"] * 8

    client.turn_until(work)
    assert len(client.memory.nodes()) == 1


def test_a_claim_that_the_store_has_granted_and_nobody_knows_is_started(client):
    ids = client.enqueue()
    client.memory.claim(client.node.key, [Want(("t",), None, 1)])
    client.exchange.turn()
    assert not client.sink.line
    client.exchange.compare()
    client.exchange.turn()
    assert [claim.id for claim in client.sink.line] == ids


def test_a_claim_of_a_task_that_is_not_served_here_goes_back(client):
    known = client.enqueue()
    (job_id,) = client.memory.enqueue_many([NewJob("foreign", "default", b"[[],{}]")])
    client.memory.claim(client.node.key, [Want(("foreign",), None, 1)])
    client.store.raises["exchange"] = once(BUSY)
    client.turn_until(lambda: client.states([job_id]) == ["pending"])
    assert [claim.id for claim in client.sink.line] == known
    assert client.exchange.in_flight == 1
    assert client.memory.get(job_id).attempts == 0


def test_a_slot_that_hears_claims_in_its_own_thread(client):
    client.enqueue(3)
    client.exchange.turn()
    client.sink.begin(3)
    client.enqueue()
    client.exchange.notify_here()
    assert len(client.sink.line) == 1


def test_a_slot_that_hears_while_another_turns_leaves_it_to_the_exchange(client):
    client.exchange.turn()
    client.enqueue()
    with client.exchange._turning:
        client.exchange.notify_here()
    assert not client.sink.line
    assert client.woken.is_set()
    assert client.exchange.due(time.monotonic()) == 0.0


def test_a_slot_that_hears_during_the_drain_claims_nothing(client):
    client.exchange.turn()
    client.enqueue()
    client.exchange.drain(30)
    client.exchange.notify_here()
    assert client.exchange.drained
    assert not client.sink.line


def test_it_is_not_drained_while_a_slot_turns(client):
    drained = []
    client.enqueue()

    def drain_meanwhile(*_, **__):
        client.exchange.drain(30)
        drained.append(client.exchange.drained)

    client.store.raises["exchange"] = drain_meanwhile
    client.exchange.notify_here()
    assert drained[0] is False
    client.store.raises.clear()
    client.turn_until(lambda: client.exchange.drained)
    assert client.memory.stats()["default"]["running"] == 0


def test_an_exception_that_strikes_a_slot_as_it_takes_the_turn_leaves_it_free(client):
    lock = client.exchange._turning

    class Struck:
        def __getattr__(self, name):
            return getattr(lock, name)

        def acquire(self, **options):
            lock.acquire(**options)
            raise KeyboardInterrupt

    client.exchange._turning = Struck()
    with pytest.raises(KeyboardInterrupt):
        client.exchange.notify_here()
    client.exchange._turning = lock
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(client.exchange.due, time.monotonic()).result(10) is not None
