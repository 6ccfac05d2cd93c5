"""Coroutine slots: a cancellation hits the body it was meant for, or none."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mainspring.engine.attempts.attempt import cancelled, released
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.testing.contracts.service import ServiceContract


class NoAttempt:
    async def arun(self, claim, slot, asked):
        raise AssertionError

    def timeout(self, claim):
        raise AssertionError

    def timed_out(self, claim, began):
        raise AssertionError


class TestLifecycle(ServiceContract):
    def make(self):
        return AsyncExecutor(3, NoAttempt(), lambda _: None)


@pytest.fixture
def rig(make_rig):
    return make_rig("async", size=1)


async def noop():
    pass


async def forever():
    await asyncio.Event().wait()


async def pause():
    await asyncio.sleep(0)


def test_claims_that_come_before_the_start_run(rig, eventually):
    rig.task(noop)
    for _ in range(3):
        rig.submit("noop")
    rig.start()
    eventually(lambda: rig.kinds() == ["completed"] * 3)


def test_every_slot_is_used_and_no_more(make_rig, eventually):
    rig = make_rig("async", size=5)
    rig.task(forever)
    rig.start()
    for _ in range(8):
        rig.submit("forever")
    eventually(lambda: rig.executor.load().running == 5)
    assert rig.executor.waiting() == 3
    assert len(rig.executor.withdraw(3)) == 3
    rig.executor.interrupt(released)
    eventually(lambda: rig.kinds() == ["released"] * 5)
    assert rig.executor.load().running == 0


def test_claims_submitted_one_by_one_to_idle_slots_all_run(make_rig, eventually):
    rig = make_rig("async", size=7)
    rig.task(pause)
    rig.start()
    for _ in range(500):
        rig.submit("pause")
    eventually(lambda: len(rig.outcomes) == 500)
    assert set(rig.kinds()) == {"completed"}


def test_claims_submitted_by_many_threads_at_once_all_run(make_rig, eventually):
    rig = make_rig("async", size=3)
    rig.task(pause)
    rig.start()
    threads = [
        threading.Thread(target=lambda: [rig.submit("pause") for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(rig.outcomes) == 400)


def test_a_body_past_its_timeout_is_cancelled_and_fails(rig, eventually):
    rig.task(forever, timeout=0.05)
    rig.task(pause)
    rig.start()
    rig.submit("forever")
    rig.submit("pause")
    eventually(lambda: rig.kinds() == ["failed", "completed"])
    assert rig.outcomes[0].failure.type == "mainspring.errors.AttemptTimeout"


def test_a_timeout_that_strikes_as_the_body_ends_never_hits_the_next_body(rig, eventually):
    async def edge():
        await asyncio.sleep(0.002)

    async def innocent():
        for _ in range(5):
            await asyncio.sleep(0)

    rig.task(edge, timeout=0.002)
    rig.task(innocent)
    rig.start()
    for _ in range(100):
        rig.submit("edge")
        rig.submit("innocent")
    eventually(lambda: len(rig.outcomes) == 200)
    assert rig.kinds()[1::2] == ["completed"] * 100


def test_a_body_that_overslept_its_timeout_without_waiting_does_not_harm_the_next(rig, eventually):
    async def block():
        time.sleep(0.03)  # noqa: ASYNC251  # on purpose

    rig.task(block, timeout=0.01)
    rig.task(pause)
    rig.start()
    rig.submit("block")
    rig.submit("pause")
    eventually(lambda: len(rig.outcomes) == 2)
    assert rig.kinds()[1] == "completed"


def test_a_body_that_cancels_itself_fails_alone(rig, eventually):
    async def give_up():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    rig.task(give_up)
    rig.task(pause)
    rig.start()
    rig.submit("give_up")
    rig.submit("pause")
    eventually(lambda: rig.kinds() == ["failed", "completed"])
    assert "CancelledError" in rig.outcomes[0].failure.type


def test_a_body_that_cancels_its_task_and_ends_does_not_harm_the_next(rig, eventually):
    async def parting_shot():
        asyncio.current_task().cancel()

    rig.task(parting_shot)
    rig.task(pause)
    rig.start()
    rig.submit("parting_shot")
    rig.submit("pause")
    eventually(lambda: rig.kinds() == ["completed", "completed"])


def test_a_cancellation_that_a_body_left_behind_does_not_kill_an_idle_slot(rig, eventually):
    struck = threading.Event()

    async def time_bomb():
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, lambda: (task.cancel(), struck.set()))

    rig.task(time_bomb)
    rig.task(pause)
    rig.start()
    rig.submit("time_bomb")
    assert struck.wait(10)
    for _ in range(3):
        rig.submit("pause")
    eventually(lambda: rig.kinds() == ["completed"] * 4)


@pytest.mark.parametrize("first", ["cancelled", "timed out"])
def test_a_cancelled_body_leaves_no_trace_that_a_task_group_would_see(rig, eventually, first):
    async def give_up():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    async def fail():
        raise ValueError("mine")

    rig.task(give_up)
    rig.task(forever, timeout=0.02)
    rig.task(group)
    rig.start()
    rig.submit("give_up" if first == "cancelled" else "forever")
    rig.submit("group")
    eventually(lambda: len(rig.outcomes) == 2)
    assert rig.outcomes[1].failure.type == "builtins.ExceptionGroup"


def test_a_body_that_swallows_its_cancellation_once_and_ends_keeps_its_result(rig, eventually):
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done after all"

    rig.task(stubborn, timeout=0.02)
    rig.task(pause)
    rig.start()
    rig.submit("stubborn")
    rig.submit("pause")
    eventually(lambda: rig.kinds() == ["completed", "completed"])
    assert rig.outcomes[0].result == b'"done after all"'


def test_interrupting_twice_gives_one_outcome_a_body(make_rig, eventually):
    rig = make_rig("async", size=4)
    rig.task(forever)
    rig.task(pause)
    rig.start()
    for _ in range(4):
        rig.submit("forever")
    eventually(lambda: rig.executor.load().running == 4)
    rig.executor.interrupt(released)
    rig.executor.interrupt(released)
    for _ in range(4):
        rig.submit("pause")
    eventually(lambda: len(rig.outcomes) == 8)
    assert sorted(rig.kinds()) == ["completed"] * 4 + ["released"] * 4


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_whatever_a_body_raises_its_loop_goes_on(rig, eventually, error):
    async def fail():
        raise error("stop")

    rig.task(fail)
    rig.task(pause)
    rig.start()
    for name in ("fail", "fail", "pause"):
        rig.submit(name)
    eventually(lambda: rig.kinds() == ["failed", "failed", "completed"])
    assert rig.outcomes[0].failure.type == f"builtins.{error.__name__}"


def test_bodies_that_never_wait_let_others_of_the_loop_run(make_rig, eventually):
    rig = make_rig("async", size=2)
    seen = []

    async def watch():
        while len(seen) < 3:
            seen.append(len(rig.outcomes))
            await asyncio.sleep(0)

    rig.task(watch)
    rig.task(noop)
    claims = [rig.claim("watch"), *(rig.claim("noop") for _ in range(500))]
    rig.executor.submit(claims)
    rig.start()
    eventually(lambda: len(rig.outcomes) == 501)
    assert seen[-1] < 500


def test_closing_does_not_wait_for_what_a_body_left_running(rig, eventually):
    strays = []

    async def leave_one():
        strays.append(asyncio.create_task(forever()))

    rig.task(leave_one)
    rig.start()
    rig.submit("leave_one")
    eventually(lambda: rig.kinds() == ["completed"])
    rig.stop()
    assert strays[0].cancelled()


def test_cancelled_with_a_body_under_way_it_leaves_no_thread_behind(make_rig, eventually):
    rig = make_rig("async", size=2)
    rig.task(forever)
    before = set(threading.enumerate())

    async def live():
        started = asyncio.Event()
        task = asyncio.create_task(rig.executor.run(started.set))
        await started.wait()
        for _ in range(3):
            rig.submit("forever")
        while rig.executor.load().running < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(live())
    assert set(threading.enumerate()) <= before


def test_a_blocked_loop_blocks_no_submit_and_no_withdraw(rig, eventually):
    blocked, go = threading.Event(), threading.Event()

    async def block():
        blocked.set()
        go.wait(30)

    rig.task(block)
    rig.task(pause)
    rig.start()
    rig.submit("block")
    assert blocked.wait(10)
    waiting = [rig.submit("pause") for _ in range(3)]
    assert rig.executor.waiting() == 3
    assert rig.executor.withdraw(3) == waiting
    go.set()
    eventually(lambda: rig.kinds() == ["completed"])


def test_of_chosen_claims_the_running_are_cancelled_and_the_waiting_never_begin(
    make_rig, eventually
):
    rig = make_rig("async", size=2)
    ran = []
    go = []

    async def note(number):
        ran.append(number)
        while not go:
            await asyncio.sleep(0.001)

    rig.task(note)
    rig.start()
    running = [rig.submit("note", number) for number in (0, 1)]
    eventually(lambda: len(ran) == 2)
    waiting = [rig.submit("note", number) for number in (2, 3)]
    chosen = {(claim.key, claim.fence) for claim in (running[0], waiting[0])}
    rig.executor.interrupt(cancelled, chosen)
    # Said at once, though the loop does not know of it yet.
    assert rig.executor.held_since(running[0]) is None
    assert rig.executor.held_since(running[1]) is not None
    eventually(lambda: len(rig.outcomes) == 2)
    assert rig.kinds() == ["cancelled", "cancelled"]
    assert {one.key for one in rig.outcomes} == {running[0].key, waiting[0].key}
    go.append(1)
    eventually(lambda: len(rig.outcomes) == 4)
    assert sorted(ran) == [0, 1, 3]


def test_it_tells_how_long_its_loop_keeps_a_call_waiting(rig, eventually):
    blocked, go = threading.Event(), threading.Event()

    async def block():
        blocked.set()
        go.wait(30)

    rig.task(block)
    assert rig.executor.lag() is None
    rig.start()
    assert rig.executor.lag() is not None  # 0.0, unless the loop has answered already
    rig.submit("block")
    assert blocked.wait(10)
    eventually(lambda: rig.executor.lag() > 0.05)
    go.set()
    eventually(lambda: rig.executor.lag() < 0.05)
