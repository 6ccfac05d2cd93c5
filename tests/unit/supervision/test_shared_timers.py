import asyncio
import gc
import time
import weakref

import pytest

from mainspring.supervision.loops.shared_timers import SharedTimers, shared_timers_of


class CountingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.timers = 0

    def call_at(self, *args, **kwargs):
        self.timers += 1
        return super().call_at(*args, **kwargs)


def run(main):
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(main())


def test_calls_of_one_moment_share_a_timer_and_come_in_order():
    async def main():
        loop, rung = asyncio.get_running_loop(), []
        moment = time.monotonic() + 0.01
        done = loop.create_future()
        for number in range(100):
            shared_timers_of(loop).set(loop, moment, lambda number=number: rung.append(number))
        shared_timers_of(loop).set(loop, moment, lambda: done.set_result(time.monotonic()))
        assert await done >= moment - 0.001
        assert rung == list(range(100))
        return loop.timers

    assert run(main) == 1


def test_what_one_raises_does_not_lose_the_others():
    rung = []

    def leave():
        rung.append("exit")
        raise SystemExit

    async def main():
        loop = asyncio.get_running_loop()
        moment = time.monotonic() + 0.01
        for function in (lambda: rung.append(1), leave, lambda: rung.append(2)):
            shared_timers_of(loop).set(loop, moment, function)
        await asyncio.sleep(60)

    loop = asyncio.new_event_loop()
    life = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_until_complete(life)
    loop.run_until_complete(asyncio.sleep(0))
    assert rung == [1, "exit", 2]
    life.cancel()
    loop.run_until_complete(asyncio.wait([life]))
    loop.close()


def test_a_dropped_call_is_not_made_and_the_last_takes_its_timer_along():
    async def main():
        loop, rung, done = asyncio.get_running_loop(), [], asyncio.Event()
        alarms, moment = SharedTimers(), time.monotonic() + 0.02

        def ring():
            rung.append(1)

        alarms.set(loop, moment, ring)
        alarms.set(loop, moment, done.set)
        alarms.drop(moment, ring)
        await asyncio.wait_for(done.wait(), 10)
        assert rung == []
        alarms.drop(moment, done.set)
        alarms.set(loop, moment + 3600, ring)
        alarms.drop(moment + 3600, ring)
        assert all(timer.cancelled() for timer in loop._scheduled)

    run(main)


def test_a_loop_that_is_gone_leaves_no_timers_behind():
    async def main():
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        shared_timers_of(loop).set(loop, time.monotonic(), rung.set)
        await rung.wait()
        return weakref.ref(loop)

    gone = run(main)
    gc.collect()
    assert gone() is None


def test_a_loop_that_was_closed_with_timers_set_is_let_go_when_the_next_one_comes():
    def close_with_a_timer():
        loop = asyncio.new_event_loop()
        shared_timers_of(loop).set(loop, time.monotonic() + 3600, print)
        loop.close()
        return weakref.ref(loop)

    gone = close_with_a_timer()
    other = asyncio.new_event_loop()
    shared_timers_of(other)
    other.close()
    gc.collect()
    assert gone() is None
