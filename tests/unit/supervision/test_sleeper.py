import asyncio
import contextvars
import threading
import time

import pytest

from mainspring.supervision.sleeper import LoopSleeper, ThreadSleeper

ROUNDS = 3000


def test_a_thread_sleeps_for_its_time():
    began = time.monotonic()
    ThreadSleeper().sleep(0.02)
    assert time.monotonic() - began >= 0.02


def test_a_wake_before_the_sleep_is_not_lost():
    sleeper = ThreadSleeper()
    sleeper.wake()
    sleeper.wake()
    sleeper.sleep(None)


def test_no_wake_of_a_thread_is_ever_lost():
    there, back = ThreadSleeper(), ThreadSleeper()
    seen = []

    def answer():
        for number in range(ROUNDS):
            while len(told) <= number:
                there.sleep(None)
            seen.append(number)
            back.wake()

    told = []
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    for number in range(ROUNDS):
        told.append(number)
        there.wake()
        while len(seen) <= number:
            back.sleep(None)
    thread.join(10)
    assert seen == list(range(ROUNDS))


def test_no_wake_of_a_loop_is_ever_lost():
    async def live():
        sleeper, back = LoopSleeper(asyncio.get_running_loop()), ThreadSleeper()
        told, seen = [], []

        def tell():
            for number in range(ROUNDS // 3):
                told.append(number)
                sleeper.wake()
                while len(seen) <= number:
                    back.sleep(None)

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        for number in range(ROUNDS // 3):
            while len(told) <= number:
                await sleeper.sleep(None)
            seen.append(number)
            back.wake()
        thread.join(10)

    asyncio.run(asyncio.wait_for(live(), 60))


async def slept(sleeper):
    await sleeper.sleep(None)


def test_a_coroutine_sleeps_for_its_time_and_can_be_cancelled():
    async def live():
        sleeper = LoopSleeper(asyncio.get_running_loop())
        began = time.monotonic()
        await sleeper.sleep(0.02)
        assert time.monotonic() - began >= 0.02
        task = asyncio.create_task(slept(sleeper))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(live())


def test_waking_a_sleeper_of_a_loop_that_is_closed_is_harmless():
    async def live():
        sleeper = LoopSleeper(asyncio.get_running_loop())
        task = asyncio.create_task(slept(sleeper))
        await asyncio.sleep(0)
        task.cancel()
        return sleeper

    sleeper = asyncio.run(live())
    sleeper._sleeping = True
    sleeper.wake()


def test_the_step_after_a_sleep_is_taken_in_the_turn_that_ends_it():
    async def live():
        loop, seen = asyncio.get_running_loop(), []
        sleeper = LoopSleeper(loop)

        async def nap():
            await sleeper.sleep(None)
            seen.append("up")

        def wake():
            sleeper.wake()
            loop.call_soon(seen.append, "first turn over")

        task = asyncio.create_task(nap())
        await asyncio.sleep(0)
        loop.call_soon(wake)
        await task
        await asyncio.sleep(0)
        return seen

    assert asyncio.run(asyncio.wait_for(live(), 10)) == ["up", "first turn over"]


def test_a_task_keeps_its_context_and_is_the_current_one_after_a_sleep():
    colour = contextvars.ContextVar("colour", default="none")

    async def nap(name, sleeper):
        colour.set(name)
        await sleeper.sleep(0.15)
        return colour.get(), asyncio.current_task().get_name()

    async def live():
        loop = asyncio.get_running_loop()
        naps = [
            asyncio.create_task(nap(name, LoopSleeper(loop)), name=name) for name in ("red", "blue")
        ]
        return await asyncio.gather(*naps), colour.get()

    slept, outside = asyncio.run(live())
    assert slept == [("red", "red"), ("blue", "blue")]
    assert outside == "none"


@pytest.mark.parametrize("seconds", [None, 0.05, 0.5, 5.0])
def test_a_cancelled_sleeper_sleeps_again(seconds):
    async def live():
        sleeper = LoopSleeper(asyncio.get_running_loop())
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await sleeper.sleep(seconds)
        sleeper.wake()
        await sleeper.sleep(None)
        await sleeper.sleep(0.02)
        return time.monotonic() - began

    assert asyncio.run(asyncio.wait_for(live(), 10)) >= 0.03


def test_a_sleeper_that_another_one_cancels_as_both_are_rung_is_cancelled():
    async def live():
        loop, tasks, ended = asyncio.get_running_loop(), [], []

        async def nap(number):
            try:
                await LoopSleeper(loop).sleep(0.2, began)
            except asyncio.CancelledError:
                ended.append(f"{number} cancelled")
                raise
            ended.append(f"{number} woke")
            tasks[1].cancel()

        began = time.monotonic()
        tasks += [asyncio.create_task(nap(number)) for number in range(2)]
        await asyncio.wait(tasks)
        return ended, tasks[1].cancelled()

    assert asyncio.run(asyncio.wait_for(live(), 10)) == (["0 woke", "1 cancelled"], True)
