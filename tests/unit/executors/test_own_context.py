"""Each body has a task and a context of its own: nothing of it is left for the next."""

from __future__ import annotations

import asyncio
import contextvars
import decimal

import anyio
import pytest

from mainspring.engine.attempts.attempt import cancelled
from mainspring.model.codec import JsonCodec

user = contextvars.ContextVar("user", default="nobody")


def results(rig):
    return [JsonCodec().decode_result(outcome.result) for outcome in rig.outcomes]


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_what_a_body_sets_in_its_context_is_gone_with_it(make_rig, eventually, kind):
    rig = make_rig(kind)

    def look():
        seen = user.get(), decimal.getcontext().prec
        user.set("ann")
        decimal.getcontext().prec = 3
        return seen

    async def alook():
        return look()

    rig.task(look if kind == "thread" else alook, name="look")
    rig.start()
    for _ in range(3):
        rig.submit("look")
    eventually(lambda: len(rig.outcomes) == 3)
    assert [list(one) for one in results(rig)] == [["nobody", 28]] * 3


def test_a_body_sees_its_own_context_after_it_waited(make_rig, eventually):
    rig = make_rig("async", size=2)

    async def look(name):
        user.set(name)
        await asyncio.sleep(0)
        return user.get()

    rig.task(look)
    rig.start()
    for name in ("ann", "bob"):
        rig.submit("look", name)
    eventually(lambda: len(rig.outcomes) == 2)
    assert sorted(results(rig)) == ["ann", "bob"]


def test_what_subscribers_set_in_a_slots_thread_reaches_no_body(make_rig, eventually):
    rig = make_rig("thread")
    rig.executor._done_here = lambda outcome: (user.set("eve"), rig.outcomes.append(outcome))

    def look():
        return user.get()

    rig.task(look)
    rig.start()
    for _ in range(2):
        rig.submit("look")
    eventually(lambda: len(rig.outcomes) == 2)
    assert results(rig) == ["nobody", "nobody"]


def test_each_body_has_an_asyncio_task_of_its_own(make_rig, eventually):
    rig = make_rig("async")
    tasks = []

    async def note():
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    rig.task(note)
    rig.start()
    for _ in range(2):
        rig.submit("note")
    eventually(lambda: len(rig.outcomes) == 2)
    assert tasks[0] is tasks[1]
    assert tasks[2] is tasks[3]
    assert tasks[0] is not tasks[2]


def test_what_asyncio_and_anyio_keep_by_task_works_in_a_body(make_rig, eventually):
    rig = make_rig("async")

    async def mixed():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught

    rig.task(mixed)
    rig.start()
    rig.submit("mixed")
    eventually(lambda: len(rig.outcomes) == 1)
    assert results(rig) == [True]


def test_a_body_that_cancels_and_uncancels_its_task_ends_as_it_returns(make_rig, eventually):
    rig = make_rig("async")

    async def waver():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return "here"

    rig.task(waver)
    rig.start()
    rig.submit("waver")
    eventually(lambda: rig.kinds() == ["completed"])


def test_a_body_that_cancels_every_task_of_the_loop_loses_no_outcome(make_rig, eventually):
    rig = make_rig("async", size=3)

    async def rampage():
        for task in asyncio.all_tasks() - {
            rig.executor._slots_of_loop._owner,
            rig.executor._thread._serving,
        }:
            task.cancel()
        await asyncio.sleep(0)

    async def noop():
        pass

    rig.task(rampage)
    rig.task(noop)
    claims = [rig.claim(name) for name in ("rampage", "noop", "noop", "noop")]
    rig.executor.submit(claims)
    rig.start()
    eventually(lambda: len(rig.outcomes) == 4)
    assert {outcome.key for outcome in rig.outcomes} == {claim.key for claim in claims}


def test_a_body_cancelled_before_its_first_step_ends_with_what_was_asked(make_rig, eventually):
    rig = make_rig("async", size=2)
    chosen = []

    async def first():
        # On the loop itself, before the second body's first step.
        rig.executor._slots_of_loop.interrupt_all(cancelled, lambda claim: claim is chosen[0])

    async def second():
        await asyncio.sleep(0)

    rig.task(first)
    rig.task(second)
    chosen.append(rig.claim("second"))
    rig.executor.submit([rig.claim("first"), chosen[0]])
    rig.start()
    eventually(lambda: len(rig.outcomes) == 2)
    by_key = {outcome.key: outcome.kind.value for outcome in rig.outcomes}
    assert by_key[chosen[0].key] in {"cancelled", "completed"}
    assert rig.executor.load().running == 0


def test_a_task_factory_on_the_loop_is_left_alone(make_rig, eventually):
    rig = make_rig("async")
    made = []

    def factory(loop, coroutine, **options):
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def install():
        asyncio.get_running_loop().set_task_factory(factory)

    async def noop():
        pass

    rig.task(install)
    rig.task(noop)
    rig.start()
    rig.submit("install")
    eventually(lambda: len(rig.outcomes) == 1)
    before = len(made)
    rig.submit("noop")
    eventually(lambda: len(rig.outcomes) == 2)
    assert len(made) == before


def test_a_claim_whose_timeout_is_unknown_gets_an_outcome(make_rig, eventually):
    rig = make_rig("async")

    async def noop():
        pass

    rig.task(noop)
    rig.start()
    rig.executor._slots_of_loop._attempt.timeout = lambda claim: 1 / 0
    rig.submit("noop")
    eventually(lambda: rig.kinds() == ["failed"])
