import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial

import pytest

from mainspring.supervision.loops.thread_calls import ThreadCalls


def test_calls_of_many_threads_all_arrive_each_thread_in_order():
    async def live():
        post, got, done = ThreadCalls(asyncio.get_running_loop()), [], asyncio.Event()

        def send(sender):
            for number in range(500):
                post.call(partial(got.append, (sender, number)))

        senders = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for one in senders:
            one.start()
        while len(got) < 2000:
            await asyncio.sleep(0.001)
        post.call(done.set)
        await done.wait()
        return got

    got = asyncio.run(asyncio.wait_for(live(), 30))
    for name in range(4):
        assert [number for sender, number in got if sender == name] == list(range(500))


def test_a_call_that_raises_does_not_lose_the_others():
    async def live():
        loop, complaints, got = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        post = ThreadCalls(loop)
        post.call(partial(int, "x"))
        post.call(partial(got.append, 1))
        while not got:
            await asyncio.sleep(0)
        return complaints

    assert isinstance(asyncio.run(live())[0], ValueError)


def test_a_coroutines_result_error_and_cancellation_cross_over():
    async def fail():
        raise OSError("gone")

    async def live():
        post, before = ThreadCalls(asyncio.get_running_loop()), len(asyncio.all_tasks())
        assert await asyncio.wrap_future(post.submit(asyncio.sleep(0, "result"))) == "result"
        with pytest.raises(OSError, match="gone"):
            await asyncio.wrap_future(post.submit(fail()))
        endless, early = post.submit(asyncio.sleep(3600)), post.submit(asyncio.sleep(3600))
        assert early.cancel()
        while len(asyncio.all_tasks()) == before:
            await asyncio.sleep(0)
        assert endless.cancel()
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(live(), 30))


def test_a_closed_loop_takes_no_calls():
    async def live():
        return ThreadCalls(asyncio.get_running_loop())

    post = asyncio.run(live())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            post.call(int)
        with pytest.raises(RuntimeError):
            post.submit(asyncio.sleep(0))


def test_each_call_runs_in_the_context_of_its_caller():
    caller, seen = ContextVar("caller", default=None), []

    async def note():
        seen.append(caller.get())

    async def live():
        calls = ThreadCalls(asyncio.get_running_loop())

        def call(name):
            caller.set(name)
            calls.call(lambda: seen.append(caller.get()))
            return calls.submit(note())

        with ThreadPoolExecutor() as threads:
            futures = [threads.submit(call, name).result() for name in ("ann", "bob")]
        for future in futures:
            await asyncio.wrap_future(future)
        assert caller.get() is None

    asyncio.run(asyncio.wait_for(live(), 30))
    assert seen == ["ann", "bob", "ann", "bob"]
