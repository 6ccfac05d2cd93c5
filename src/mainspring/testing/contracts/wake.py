"""Contract of a store's wake-ups. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mainspring.model.job import OutcomeKind
from mainspring.testing.contracts.cases import (
    LEASE,
    enqueue,
    join,
    new_job,
    outcome,
    schedule,
    start,
    tick,
    want,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.model.job import Notice
    from mainspring.protocols import JobStore, Listener
    from mainspring.testing.clock import FrozenClock

LONG = 30.0
"""Seconds in which a wake-up must have come; none of these tests waits so long unless it fails."""


def drained(listener: Listener) -> Listener:
    """Consume every notice that has come until now."""
    while listener.wait(0):
        pass
    return listener


class WakeContract:
    """Nobody polls to find work or results."""

    @pytest.fixture
    def ready(self, store: JobStore) -> Iterator[Listener]:
        store.enqueue_many([new_job("another")])
        listener = drained(store.listen("ready"))
        yield listener
        listener.close()

    @pytest.fixture
    def ended(self, store: JobStore) -> Iterator[Listener]:
        listener = store.listen("ended")
        yield listener
        listener.close()

    def test_a_new_job_wakes_a_sleeper(self, store: JobStore, ready: Listener) -> None:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(ready.wait, LONG)
            store.enqueue_many([new_job()])
            assert waiting.result(LONG) is not None

    def test_a_ring_before_the_wait_is_not_lost(self, store: JobStore, ready: Listener) -> None:
        store.enqueue_many([new_job()])
        assert ready.wait(LONG) is not None

    def test_a_listener_that_has_heard_sleeps_again(self, store: JobStore, ready: Listener) -> None:
        store.enqueue_many([new_job()])
        ready.wait(LONG)
        # A ring and the net under it may each wake once for the same news.
        ready.wait(0)
        assert ready.wait(0.01) is None

    def test_the_first_delayed_job_wakes_a_sleeper_that_knows_of_a_later_one(
        self, store: JobStore, ready: Listener
    ) -> None:
        store.enqueue_many([new_job(delay=60.0)])
        assert ready.wait(LONG) is not None
        store.enqueue_many([new_job(delay=30.0)])
        assert ready.wait(LONG) is not None

    @pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.RELEASED])
    def test_a_job_that_waits_again_wakes_a_sleeper(
        self, store: JobStore, ready: Listener, kind: OutcomeKind
    ) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        drained(ready)
        store.finish_many(node, [outcome(claim, kind)])
        assert ready.wait(LONG) is not None

    def test_a_job_wakes_a_sleeper_beside_one_that_gets_all_it_wants(
        self, store: JobStore, ready: Listener
    ) -> None:
        """Two workers of one process share a store, and not what they serve."""
        store.enqueue_many([new_job()] * 10)
        node, busy = join(store), store.listen("ready")
        for _ in range(8):
            assert len(store.claim(node, [want(limit=1)])) == 1
        drained(ready)
        store.enqueue_many([new_job("served by the other")])
        assert ready.wait(LONG) is not None
        busy.close()

    def test_a_rescue_wakes_a_sleeper(self, store: JobStore, ready: Listener) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        store.claim(node, [want()])
        drained(ready)
        store.rescue(node, dead=True, begun=None)
        assert ready.wait(LONG) is not None

    def test_a_job_behind_those_that_were_passed_over_wakes_a_sleeper(
        self, store: JobStore, clock: FrozenClock, ready: Listener
    ) -> None:
        store.enqueue_many([new_job()] * 2)
        for _ in range(2):
            node = join(store)
            store.claim(node, [want()])
            store.rescue(node, dead=True, begun=None)
            clock.advance(LONG)
        node = join(store)
        assert store.claim(node, [want(suspects=0)]) == []
        drained(ready)
        store.enqueue_many([new_job()])
        assert ready.wait(LONG) is not None
        assert len(store.claim(node, [want(suspects=0)])) == 1

    def test_leaving_wakes_a_sleeper(self, store: JobStore, ready: Listener) -> None:
        node = join(store)
        drained(ready)
        store.leave(node)
        assert ready.wait(LONG) is not None

    @pytest.mark.parametrize(
        "kind", [OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED]
    )
    def test_the_end_of_a_job_wakes_who_waits_for_it(
        self, store: JobStore, ended: Listener, kind: OutcomeKind
    ) -> None:
        store.enqueue_many([new_job()])
        node = join(store)
        (claim,) = store.claim(node, [want()])
        drained(ended)
        store.finish_many(node, [outcome(claim, kind)])
        assert ended.wait(LONG) is not None

    def test_a_last_crash_wakes_who_waits_for_the_job(
        self, store: JobStore, clock: FrozenClock, ended: Listener
    ) -> None:
        store.enqueue_many([new_job()])
        for _ in range(3):
            node = join(store)
            store.claim(node, [want()])
            drained(ended)
            store.rescue(node, dead=True, begun=None)
            clock.advance(LONG)
        assert ended.wait(LONG) is not None

    def test_a_manual_retry_wakes_a_sleeper(self, store: JobStore, ready: Listener) -> None:
        job_id = enqueue(store)
        store.cancel([job_id])
        drained(ready)
        store.retry([job_id])
        assert ready.wait(LONG) is not None

    def test_resuming_a_queue_wakes_a_sleeper(self, store: JobStore, ready: Listener) -> None:
        store.pause("queue")
        drained(ready)
        store.resume("queue")
        assert ready.wait(LONG) is not None

    def test_a_tick_wakes_a_sleeper(
        self, store: JobStore, clock: FrozenClock, ready: Listener
    ) -> None:
        store.declare([schedule()])
        clock.advance(60)
        drained(ready)
        assert tick(store) is not None
        assert ready.wait(LONG) is not None

    def test_a_job_that_is_moved_forward_wakes_a_sleeper(
        self, store: JobStore, ready: Listener
    ) -> None:
        enqueue(store, unique="k", delay=60.0)
        drained(ready)
        enqueue(store, unique="k", on_conflict="replace")
        assert ready.wait(LONG) is not None

    @pytest.mark.parametrize("delay", [0.0, 30.0])
    def test_a_job_that_is_rescheduled_wakes_a_sleeper(
        self, store: JobStore, ready: Listener, delay: float
    ) -> None:
        job_id = enqueue(store, delay=60.0)
        enqueue(store)
        drained(ready)
        store.reschedule([job_id], delay=delay)
        assert ready.wait(LONG) is not None

    def test_cancelling_or_expiring_a_waiting_job_wakes_who_waits_for_it(
        self, store: JobStore, clock: FrozenClock, ended: Listener
    ) -> None:
        cancelled, _ = enqueue(store), enqueue(store, expires=1.0)
        clock.advance(1)
        drained(ended)
        store.cancel([cancelled])
        assert ended.wait(LONG) is not None
        drained(ended)
        store.expire(limit=1)
        assert ended.wait(LONG) is not None

    @pytest.mark.parametrize("leaves", [True, False])
    def test_a_marked_job_that_would_wait_again_wakes_who_waits_for_it(
        self, store: JobStore, ended: Listener, *, leaves: bool
    ) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.cancel([job_id])
        drained(ended)
        if leaves:
            store.leave(node)
        else:
            store.finish_many(node, [outcome(claim, OutcomeKind.RETRY)])
        assert ended.wait(LONG) is not None

    def test_the_mark_of_a_running_job_wakes_who_takes_orders(self, store: JobStore) -> None:
        orders = store.listen("orders")
        job_id = enqueue(store)
        node, _ = start(store, job_id)
        drained(orders)
        store.cancel([job_id])
        assert orders.wait(LONG) is not None
        renewed = store.renew(node, lease=LEASE)
        assert renewed is not None
        assert renewed.cancel
        orders.close()

    def test_what_a_waiter_was_woken_for_is_there(self, store: JobStore, ended: Listener) -> None:
        job_ids = [enqueue(store) for _ in range(20)]
        node = join(store)

        def wait_for(job_id: str) -> bool:
            while job_id not in store.ended([job_id]):
                if not ended.wait(LONG):
                    return False
            return True

        with ThreadPoolExecutor(1) as threads:
            for job_id in job_ids:
                waiting = threads.submit(wait_for, job_id)
                store.finish_many(node, [outcome(store.claim(node, [want(limit=1)])[0])])
                assert waiting.result(LONG) is True

    @pytest.mark.parametrize("kind", [OutcomeKind.COMPLETED, OutcomeKind.FAILED])
    def test_a_notice_of_an_end_names_the_job_or_any(
        self, store: JobStore, ended: Listener, kind: OutcomeKind
    ) -> None:
        for _ in range(3):
            enqueue(store)
        node = join(store)
        for claim in store.claim(node, [want()]):
            drained(ended)
            store.finish_many(node, [outcome(claim, kind)])
            notice = ended.wait(LONG)
            assert notice is not None
            assert notice.keys is None or notice.keys == {claim.key}

    def test_notices_that_came_before_the_wait_name_all_their_jobs(
        self, store: JobStore, ended: Listener
    ) -> None:
        for _ in range(3):
            enqueue(store)
        node = join(store)
        claims = store.claim(node, [want()])
        drained(ended)
        for claim in claims:
            store.finish_many(node, [outcome(claim)])
        missing = {claim.key for claim in claims}
        while missing:
            notice = ended.wait(LONG)  # a server's may come one by one
            assert notice is not None
            if notice.keys is None:
                return
            assert notice.keys <= missing
            missing -= notice.keys

    def test_a_cancel_names_the_job_or_any(self, store: JobStore, ended: Listener) -> None:
        job_id = enqueue(store)
        record = store.get(job_id)
        drained(ended)
        store.cancel([job_id])
        notice = ended.wait(LONG)
        assert notice is not None
        assert record is not None
        assert notice.keys is None or notice.keys == {record.key}

    def test_a_poke_ends_the_next_wait_without_a_notice(self, ready: Listener) -> None:
        ready.poke()
        began = time.monotonic()
        assert ready.wait(LONG) is None
        assert time.monotonic() - began < LONG / 2

    def test_a_poke_hides_no_notice(self, store: JobStore, ready: Listener) -> None:
        ready.poke()
        store.enqueue_many([new_job()])
        assert ready.wait(LONG) is not None or ready.wait(LONG) is not None

    def test_a_second_place_to_wait_hears_in_the_place_of_the_first(self, store: JobStore) -> None:
        listener = store.listen("ready")
        place = listener.for_idle()
        try:
            if place is None:
                pytest.skip("the store has no second place")
            store.enqueue_many([new_job()])
            assert place.wait(LONG) is not None
            place.poke()
            assert place.wait(LONG) is None
        finally:
            listener.close()

    def test_closing_ends_a_wait(self, ready: Listener) -> None:
        entered = threading.Event()

        def sleep() -> Notice | None:
            entered.set()
            return ready.wait(LONG)

        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(sleep)
            entered.wait(LONG)
            ready.close()
            assert waiting.result(LONG / 2) is None

    def test_a_closed_listener_does_not_wait(self, ready: Listener) -> None:
        ready.close()
        ready.close()
        assert ready.wait(LONG) is None

    def test_every_sleeper_wakes(self, store: JobStore) -> None:
        listeners = [store.listen("ready") for _ in range(8)]
        store.enqueue_many([new_job()])
        assert None not in [listener.wait(LONG) for listener in listeners]
        for listener in listeners:
            listener.close()
