"""When the heartbeat beats, and what it hands on."""

from __future__ import annotations

import math

import pytest

from mainspring.engine.node.heartbeat import FIRST_REST, LONGEST_REST, HeartbeatTrigger
from mainspring.model.job import CANCELLED, OutcomeKind

MOMENT = 1_000.0


@pytest.fixture
def trigger():
    return HeartbeatTrigger(5.0)


def beat(trigger, now, *, orders=False):
    trigger.take(now)
    trigger.learn(orders=orders)
    trigger.done(now)


def test_it_beats_at_once_and_then_at_its_interval(trigger):
    assert trigger.due(MOMENT) <= 0
    beat(trigger, MOMENT)
    assert trigger.due(MOMENT) == 5.0
    assert trigger.due(MOMENT + 5) == 0.0


def test_a_ring_is_heeded_at_once_and_once(trigger):
    beat(trigger, MOMENT)
    trigger.notify()
    assert trigger.due(MOMENT + 1) <= 0
    beat(trigger, MOMENT + 1, orders=True)
    assert trigger.due(MOMENT + 1) == 5.0
    trigger.notify()
    assert trigger.due(MOMENT + 1) <= 0


def test_rings_that_bring_nothing_are_heeded_less_and_less_often(trigger):
    beat(trigger, MOMENT)
    now, rests = MOMENT, []
    for _ in range(9):
        trigger.notify()
        now += max(trigger.due(now), 0.0)
        beat(trigger, now)
        trigger.notify()
        rests.append(round(trigger.due(now), 6))
    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert rests[-1] == LONGEST_REST
    beat(trigger, now + 2, orders=True)
    trigger.notify()
    assert trigger.due(now + 2) <= 0


def test_a_beat_at_its_interval_that_brings_nothing_is_no_false_ring(trigger):
    for number in range(5):
        beat(trigger, MOMENT + 5 * number)
    trigger.notify()
    assert trigger.due(MOMENT + 21) <= 0


def test_woken_it_beats_now_and_closed_it_says_so(trigger):
    woken = []
    trigger.bind(lambda: woken.append(1))
    beat(trigger, MOMENT)
    trigger.wake()
    assert trigger.due(MOMENT) <= 0
    assert not trigger.closed
    trigger.close()
    assert trigger.closed
    assert woken == [1, 1]


class TestCancel:
    def test_running_and_waiting_claims_are_ended_by_their_executor(self, client):
        client.enqueue(2)
        client.exchange.turn()
        grants = {(claim.key, claim.fence) for claim in client.sink.line}
        client.exchange.cancel(grants)
        assert client.sink.ended == [grants]

    def test_no_order_disturbs_nobody(self, client):
        client.exchange.cancel(())
        assert client.sink.ended == []

    def test_orders_that_are_carried_out_are_taken_back(self, client):
        client.exchange.cancel({(1, 1)})
        client.exchange.cancel(())
        assert client.sink.ended == [{(1, 1)}, frozenset()]

    def test_an_order_that_comes_before_its_claim_is_carried_out(self, client):
        client.enqueue(1)
        client.exchange.cancel({(1, 1)})
        client.sink.ended.clear()
        client.exchange.turn()
        assert client.sink.ended == [{(1, 1)}]

    def test_what_is_released_although_it_was_to_be_cancelled_ends(self, client):
        (job_id,) = client.enqueue(1)
        client.exchange.turn()
        (claim,) = client.sink.begin()
        client.memory.cancel([job_id])
        client.sink.begun.clear()
        client.release(claim)
        client.exchange.turn()
        assert client.states([job_id]) == ["cancelled"]
        assert client.memory.get(job_id).failure == CANCELLED


class TestExpiry:
    def test_an_expired_claim_reaches_no_slot_and_occupies_none(self, client):
        ids = client.enqueue(3, expires=0.0)
        fresh = client.enqueue(1)
        client.turn_until(lambda: client.states(ids) == ["cancelled"] * 3)
        assert [claim.id for claim in client.sink.line] == fresh
        assert client.slots.in_flight == 1
        kinds = [outcome.kind for event in client.told for _, outcome in event.ended]
        assert kinds == [OutcomeKind.CANCELLED] * 3


class TestHealth:
    def test_with_as_many_abandoned_bodies_as_slots_it_claims_no_more(self, client, monkeypatch):
        monkeypatch.setattr("mainspring.engine.claims.slots.REST_SECONDS", 0.0)
        client.enqueue(3)
        client.sink.abandoned = 4
        client.exchange.turn()
        client.exchange.turn()
        assert list(client.sink.line) == []
        assert [type(event).__name__ for event in client.told] == ["ConsumerUnhealthy"]
        client.sink.abandoned = 3
        client.exchange.turn()
        assert len(client.sink.line) == 3
        client.sink.abandoned = 4
        client.exchange.notify()
        client.exchange.turn()
        assert len(client.told) == 2

    def test_it_looks_again_by_itself(self, client):
        client.sink.abandoned = 4
        client.exchange.turn()
        assert 0 < client.slots.state(client.slots._rests_until - 0.5).due < math.inf


def test_slots_are_told_that_the_worker_is_to_stop(client):
    client.exchange.drain(1.0)
    assert client.sink.told_to_stop
