"""Thread slots: abandoned at their deadline, one outcome a claim, never stuck at the end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from mainspring.engine.attempts.attempt import cancelled, released
from mainspring.executors.thread import Hold, ThreadExecutor
from mainspring.model.job import Claim
from mainspring.testing.contracts.service import ServiceContract


class NoAttempt:
    def run(self, claim, slot):
        raise AssertionError

    def timeout(self, claim):
        raise AssertionError

    def timed_out(self, claim, began):
        raise AssertionError


class TestLifecycle(ServiceContract):
    def make(self):
        return ThreadExecutor(3, NoAttempt(), lambda _: None)


@pytest.fixture
def rig(make_rig):
    return make_rig("thread", size=2)


def test_claims_run_in_order_and_each_gives_one_outcome(rig, eventually):
    ran = []
    rig.task(ran.append, name="note")
    claims = [rig.claim("note", number) for number in range(500)]
    rig.executor.submit(claims)
    rig.start()
    eventually(lambda: len(rig.outcomes) == 500)
    assert sorted(ran) == list(range(500))
    assert {outcome.key for outcome in rig.outcomes} == {claim.key for claim in claims}
    assert set(rig.kinds()) == {"completed"}
    assert (rig.executor.load().running, rig.executor.waiting()) == (0, 0)


def test_each_body_is_noted_with_its_slot_before_it_begins(rig, eventually):
    rig.task(lambda: None, name="noop")
    claims = [rig.claim("noop") for _ in range(20)]
    rig.executor.submit(claims)
    rig.start()
    eventually(lambda: len(rig.outcomes) == 20)
    assert {(key, fence) for _, key, fence in rig.noted} == {(one.key, one.fence) for one in claims}
    assert {slot for slot, _, _ in rig.noted} <= {0, 1}


def test_a_body_past_its_deadline_is_abandoned_and_its_slot_goes_on(rig, gate, eventually):
    rig.task(lambda: gate.wait(30), name="stuck", timeout=0.05)
    rig.task(lambda: None, name="noop")
    rig.start()
    rig.submit("stuck")
    rig.submit("stuck")
    rig.submit("noop")
    eventually(lambda: len(rig.outcomes) == 3)
    assert sorted(rig.kinds()) == ["completed", "failed", "failed"]
    assert rig.executor.load().abandoned == 2


def test_an_abandoned_body_that_ends_late_gives_no_second_outcome(rig, gate, eventually):
    ended = threading.Event()

    def late():
        gate.wait(30)
        ended.set()
        return "late"

    rig.task(late, timeout=0.05)
    rig.task(lambda: None, name="noop")
    others = set(threading.enumerate())  # those of earlier tests may be about to end
    rig.start()
    rig.submit("late")
    eventually(lambda: rig.kinds() == ["failed"])
    gate.set()
    assert ended.wait(10)
    new = set(threading.enumerate()) - others
    first = [one for one in new if one.name == "mainspring-thread-0"]
    rig.submit("noop")
    eventually(lambda: len(rig.outcomes) == 2)
    assert rig.kinds() == ["failed", "completed"]
    assert len(first) <= 2


def test_a_deadline_earlier_than_the_one_that_is_watched_is_kept(rig, gate, eventually):
    rig.task(lambda: gate.wait(30), name="patient", timeout=25)
    rig.task(lambda: gate.wait(30), name="hasty", timeout=0.05)
    rig.start()
    rig.submit("patient")
    eventually(lambda: rig.executor.load().running == 1)
    hasty = rig.submit("hasty")
    eventually(lambda: [outcome.key for outcome in rig.outcomes] == [hasty.key])
    assert rig.kinds() == ["failed"]


def test_many_timed_bodies_do_not_stir_the_loop_each(rig, monkeypatch, eventually):
    stirred = []
    stir = rig.executor._wake_loop
    monkeypatch.setattr(rig.executor, "_wake_loop", lambda: (stirred.append(1), stir()))
    rig.task(lambda: None, name="noop", timeout=30)
    rig.start()
    rig.executor.submit([rig.claim("noop") for _ in range(2_000)])
    eventually(lambda: len(rig.outcomes) == 2_000)
    assert len(stirred) < 50


def test_a_look_at_a_claim_that_has_ended_can_not_let_go_of_the_next():
    first = Hold(claim := Claim(1, "1-x", 1, "t", "q", b"", 1, 0), timeout=0.0)
    assert first.let_go() is claim
    second = Hold(Claim(2, "2-x", 1, "t", "q", b"", 1, 0), timeout=None)
    assert first.let_go() is None
    assert second.live


def test_a_watch_that_is_late_never_fails_the_next_claim(make_rig, eventually):
    # Each body ends just at its deadline: whoever looks then must hit this claim or none.
    rig = make_rig("thread", size=4)
    rig.task(time.sleep, name="edge", timeout=0.002)
    rig.task(lambda: None, name="noop")
    rig.start()
    edges = [rig.claim("edge", 0.002) for _ in range(150)]
    noops = [rig.claim("noop") for _ in range(150)]
    rig.executor.submit([claim for pair in zip(edges, noops, strict=True) for claim in pair])
    eventually(lambda: len(rig.outcomes) == 300)
    by_key = {outcome.key: outcome.kind.value for outcome in rig.outcomes}
    assert len(by_key) == 300
    assert {by_key[claim.key] for claim in noops} == {"completed"}


def test_an_interruption_gives_each_running_claim_its_outcome_once(rig, gate, eventually):
    rig.task(lambda: gate.wait(30), name="stuck")
    rig.task(lambda: None, name="noop")
    rig.start()
    claims = [rig.submit("stuck") for _ in range(2)]
    eventually(lambda: rig.executor.load().running == 2)
    rig.executor.interrupt(released)
    rig.executor.interrupt(released)
    gate.set()
    rig.submit("noop")
    eventually(lambda: len(rig.outcomes) == 3)
    assert rig.kinds() == ["released", "released", "completed"]
    assert {outcome.key for outcome in rig.outcomes[:2]} == {claim.key for claim in claims}


def test_outcomes_are_told_even_if_no_thread_can_be_started(rig, gate, monkeypatch, eventually):
    rig.task(lambda: gate.wait(30), name="stuck")
    rig.start()
    for _ in range(2):
        rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 2)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(rig.executor, "_start_thread", refuse)
    with pytest.raises(RuntimeError):
        rig.executor.interrupt(released)
    assert rig.kinds() == ["released", "released"]


def test_what_is_withdrawn_does_not_run(rig, gate, eventually):
    ran = []
    rig.task(lambda: gate.wait(30), name="stuck")
    rig.task(ran.append, name="note")
    rig.start()
    for _ in range(2):
        rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 2)
    waiting = [rig.submit("note", number) for number in range(5)]
    assert rig.executor.waiting() == 5
    assert rig.executor.withdraw(3) == waiting[:3]
    assert rig.executor.withdraw(10) == waiting[3:]
    assert rig.executor.withdraw(10) == []
    gate.set()
    eventually(lambda: len(rig.outcomes) == 2)
    assert ran == []


def test_it_says_since_when_its_oldest_body_runs(rig, gate, eventually):
    rig.task(lambda: gate.wait(30), name="stuck")
    rig.start()
    assert rig.executor.load().began == float("inf")
    before = time.monotonic()
    rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 1)
    assert before <= rig.executor.load().began <= time.monotonic()
    gate.set()
    eventually(lambda: rig.executor.load().running == 0)
    assert rig.executor.load().began == float("inf")


def test_closing_with_a_stuck_body_does_not_wait_for_it(rig, gate, eventually):
    rig.task(lambda: gate.wait(60), name="stuck")
    rig.start()
    rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 1)
    rig.stop()


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError]
)
def test_whatever_a_body_raises_its_thread_goes_on(rig, eventually, error):
    def fail():
        raise error("stop")

    rig.task(fail)
    rig.task(lambda: None, name="noop")
    rig.start()
    for name in ("fail", "fail", "fail", "noop"):
        rig.submit(name)
    eventually(lambda: len(rig.outcomes) == 4)
    assert sorted(rig.kinds()) == ["completed", "failed", "failed", "failed"]
    assert {one.failure.type for one in rig.outcomes if one.failure} == {
        f"builtins.{error.__name__}"
    }


class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit("no words")


def test_an_error_whose_message_raises_still_fails_the_attempt(rig, eventually):
    def fail():
        raise Unspeakable

    rig.task(fail)
    rig.start()
    rig.submit("fail")
    eventually(lambda: rig.kinds() == ["failed"])
    assert rig.outcomes[0].failure.message == "<its message raised SystemExit>"


def test_a_cancelled_executor_leaves_no_idle_thread_behind():
    before = set(threading.enumerate())

    async def live():
        started = asyncio.Event()
        task = asyncio.create_task(ThreadExecutor(3, NoAttempt(), lambda _: None).run(started.set))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(live())
    assert set(threading.enumerate()) <= before


def grants(*claims):
    return {(claim.key, claim.fence) for claim in claims}


def test_slots_end_also_if_all_that_waits_is_withdrawn_in_the_meantime(rig, gate, eventually):
    """As by an exchange whose store is away, and that goes on trying while its node ends."""
    rig.task(lambda: gate.wait(60), name="stuck")
    rig.start()
    for _ in range(2):
        rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 2)
    threads = [slot.thread for slot in rig.executor._slots]
    rig.stop()
    assert rig.executor.withdraw(100) == []
    gate.set()
    eventually(lambda: not any(thread.is_alive() for thread in threads))


def test_a_slot_that_withdraws_what_it_keeps_leaves_an_end_there():
    executor = ThreadExecutor(1, NoAttempt(), lambda _: None)
    executor._kept[threading.get_ident()] = [None]
    assert executor.withdraw(10) == []
    assert executor.waiting() == 1


def test_of_chosen_claims_the_running_are_abandoned_and_the_waiting_never_begin(
    rig, gate, eventually
):
    ran = []

    def note(number):
        ran.append(number)
        gate.wait(30)

    rig.task(note)
    rig.start()
    running = [rig.submit("note", number) for number in (0, 1)]
    eventually(lambda: len(ran) == 2)
    waiting = [rig.submit("note", number) for number in (2, 3)]
    rig.executor.interrupt(cancelled, grants(running[0], waiting[0]))
    eventually(lambda: len(rig.outcomes) == 2)
    assert rig.kinds() == ["cancelled", "cancelled"]
    assert {one.key for one in rig.outcomes} == {running[0].key, waiting[0].key}
    assert rig.executor.held_since(running[0]) is None
    assert rig.executor.held_since(running[1]) <= time.monotonic()
    gate.set()
    eventually(lambda: len(rig.outcomes) == 4)
    assert sorted(ran) == [0, 1, 3]
    assert rig.kinds()[2:] == ["completed", "completed"]


def test_a_claim_that_comes_after_its_interruption_never_begins(rig, eventually):
    ran = []
    rig.task(ran.append, name="note")
    rig.start()
    claims = [rig.claim("note", number) for number in (0, 1)]
    rig.executor.interrupt(cancelled, grants(claims[0]))
    rig.executor.submit(claims)
    eventually(lambda: len(rig.outcomes) == 2)
    assert ran == [1]


def test_an_abandoned_body_is_counted_until_it_ends(rig, gate, eventually):
    rig.task(lambda: gate.wait(30), name="stuck")
    rig.start()
    for _ in range(2):
        rig.submit("stuck")
    eventually(lambda: rig.executor.load().running == 2)
    rig.executor.interrupt(released)
    assert rig.executor.load().abandoned == 2
    gate.set()
    eventually(lambda: rig.executor.load().abandoned == 0)


SEEN = contextvars.ContextVar("seen", default="nothing")


def test_what_a_body_sets_in_its_context_no_other_body_sees(make_rig, eventually):
    rig = make_rig("thread", size=1)
    seen = []

    def mark(number):
        seen.append(SEEN.get())
        SEEN.set(number)
        seen.append(SEEN.get())

    rig.task(mark)
    rig.start()
    for number in (1, 2):
        rig.submit("mark", number)
    eventually(lambda: len(rig.outcomes) == 2)
    assert seen == ["nothing", 1, "nothing", 2]
