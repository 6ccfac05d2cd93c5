import asyncio
import threading
import time

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


def test_a_coroutine_sleeps_for_its_time_and_can_be_cancelled():
    async def live():
        sleeper = LoopSleeper(asyncio.get_running_loop())
        began = time.monotonic()
        await sleeper.sleep(0.02)
        assert time.monotonic() - began >= 0.02
        task = asyncio.create_task(sleeper.sleep(None))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(live())


def test_waking_a_sleeper_of_a_loop_that_is_closed_is_harmless():
    async def live():
        sleeper = LoopSleeper(asyncio.get_running_loop())
        task = asyncio.create_task(sleeper.sleep(None))
        await asyncio.sleep(0)
        task.cancel()
        return sleeper

    sleeper = asyncio.run(live())
    sleeper._sleeping = True
    sleeper.wake()
