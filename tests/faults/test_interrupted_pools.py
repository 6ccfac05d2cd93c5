"""What a call of a pool leaves behind that an exception has ended: a pool that goes on."""

import asyncio
import gc
import sys
import threading
from contextlib import suppress
from itertools import count

import pytest

from interrupts import WAYS, Interrupts
from mainspring import AsyncTaskWorker, TaskSupervisor, background_worker
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.threads.idle_threads import IDLE_LIFE
from mainspring.supervision.threads.pool import PriorityThreadPool

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENCE = 5.0


@pytest.fixture
def pool():
    threads = PriorityThreadPool()
    yield threads
    threads.close()
    # Longer than an idle thread's life: one that an exception kept from being woken ends by itself.
    assert threads.join(2 * IDLE_LIFE) == []


def submit(pool):
    pool.submit(int)


def execute(pool):
    pool.execute(100, int)


def plan(pool):
    pool.execute_at(0.0, 100, int)


def cancel(pool):
    pool.cancel_waiting()


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("call", [submit, execute, plan, cancel])
def test_a_call_of_a_thread_pool_that_is_interrupted_anywhere_holds_up_no_other(pool, call, way):
    for moment in count():
        interrupts = Interrupts(moment)
        gc.disable()  # an exception in a finalizer goes nowhere
        with suppress(KeyboardInterrupt), WAYS[way](interrupts):
            call(pool)
        gc.enable()
        where = f"interrupted at {way} {moment}: {interrupts.place}"
        # From here, and from a thread of the pool: both take its lock.
        inner = pool.submit(lambda: pool.submit(lambda: "done")).result(PATIENCE)
        assert inner.result(PATIENCE) == "done", where
        if not interrupts.fired:
            break
    assert moment > 3 or way == "opcodes"  # Python 3.13.0 tells a tracer of hardly any


@pytest.mark.parametrize("way", list(WAYS))
def test_a_call_to_a_loop_that_is_interrupted_anywhere_holds_up_no_other(way):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    calls = ThreadCalls(loop)
    for moment in count():
        interrupts = Interrupts(moment)
        gc.disable()
        with suppress(KeyboardInterrupt), WAYS[way](interrupts):
            calls.call(int)
        gc.enable()
        done = calls.submit(asyncio.sleep(0, "done"))
        assert done.result(PATIENCE) == "done", f"{way} {moment}: {interrupts.place}"
        if not interrupts.fired:
            break
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()
    assert moment > 1 or way == "opcodes"


def test_a_trigger_of_a_worker_that_is_interrupted_anywhere_holds_up_no_later_one():
    ran = threading.Event()
    with TaskSupervisor("s") as supervisor:

        @background_worker(event=True, supervisor=supervisor)
        def worker():
            ran.set()

        worker.start()
        for moment in count():
            interrupts = Interrupts(moment)
            gc.disable()
            with suppress(KeyboardInterrupt), WAYS["calls"](interrupts):
                worker.trigger_threadsafe()
            gc.enable()
            ran.clear()
            worker.trigger_threadsafe()
            assert ran.wait(PATIENCE), interrupts.place
            if not interrupts.fired:
                break
    assert moment > 3


def test_a_call_of_a_task_pool_that_is_interrupted_anywhere_holds_up_no_other():
    asyncio.run(interrupt_task_pools())


async def interrupt_task_pools():
    async def body(number):
        return number

    for moment in count():
        interrupts = Interrupts(moment)
        interrupts.within = sys._getframe()
        async with AsyncTaskWorker(max_workers=1) as pool:
            with suppress(KeyboardInterrupt), WAYS["calls"](interrupts):
                await pool.submit(body, 1)
            assert await (await pool.submit(body, moment)) == moment, interrupts.place
        if not interrupts.fired:
            break
    assert moment > 3
