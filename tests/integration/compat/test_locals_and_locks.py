"""`g` drops its values in the thread that set them; `Locker` does not wait without end."""

import asyncio
import gc
import logging
import threading

import pytest

from mainspring import LocalProxy, Locker, g
from mainspring.errors import InvalidOption


class Handle:
    """Notes the thread in which it is let go."""

    def __init__(self, ends):
        self.ends = ends

    def __del__(self):
        self.ends.append(threading.get_ident())


async def thread_of_loop():
    return threading.get_ident()


def test_a_value_in_a_loops_thread_is_dropped_there(supervisor, until):
    ends = []
    aloop = supervisor.create_aloop("io")

    async def use():
        g.handle = Handle(ends)
        return 7

    future = aloop.spawn_coroutine_threadsafe(use())
    assert future.result(10) == 7
    del future
    gc.collect()
    until(lambda: ends)
    assert ends == [aloop.run(thread_of_loop())]


def test_a_value_that_another_thread_lets_go_is_dropped_in_its_own(until):
    ends, tasks = [], []
    go_on = threading.Event()

    async def use():
        g.handle = Handle(ends)

    async def main():
        tasks.append(asyncio.create_task(use()))
        await tasks[0]
        await asyncio.to_thread(go_on.wait)

    loop_thread = threading.Thread(target=lambda: asyncio.run(main()))
    loop_thread.start()
    until(lambda: tasks and tasks[0].done())
    tasks.clear()
    gc.collect()
    until(lambda: ends)
    go_on.set()
    ident = loop_thread.ident
    loop_thread.join()
    assert ends == [ident]


def test_a_value_of_a_plain_thread_is_dropped_at_its_end(until):
    ends = []

    def use():
        g.handle = Handle(ends)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    until(lambda: ends)
    assert ends == [thread.ident]


def test_a_loops_thread_does_not_see_what_another_thread_has_set(supervisor):
    aloop = supervisor.create_aloop("io")

    async def look():
        return g.get("place", "nowhere")

    g.place = "here"
    assert aloop.run(look()) == "nowhere"
    g.clear("place")


def test_a_proxy_of_ones_own_has_values_of_its_own():
    mine = LocalProxy()
    mine.set("place", "cellar")
    assert mine.place == "cellar"
    assert not g.has("place")
    mine.clear("place")
    mine.clear("place")
    with pytest.raises(AttributeError):
        _ = mine.place


def test_a_locker_guards_a_function_and_a_block():
    lock = Locker("door")

    @lock
    def enter(step):
        with lock:  # it may be taken again
            return step

    assert enter(1) == 1


def test_a_locker_that_is_not_free_in_time_calls_critical(caplog):
    lock = Locker(mod="door", timeout=0.01, relative=False)
    calls = []
    lock.critical = lambda: calls.append(1)
    entered = lock(lambda: calls.append("entered"))
    with lock, caplog.at_level(logging.CRITICAL, "mainspring.supervision"):
        assert entered() is None
        with pytest.raises(TimeoutError, match="door"), lock:
            pass
    assert calls == [1, 1]
    assert "lock 'door'" in caplog.text


async def alater():
    pass


async def aparts():
    yield


def parts():
    yield


@pytest.mark.parametrize("function", [alater, aparts, parts])
def test_a_locker_refuses_a_function_whose_body_it_would_not_guard(function):
    with pytest.raises(InvalidOption, match="runs when the lock is free again"):
        Locker("door")(function)


def test_a_locker_is_no_decorator_before_it_is_called():
    with pytest.raises(InvalidOption, match=r"@Locker\(\)"):
        Locker(int)


def test_a_locker_may_wait_without_end():
    with Locker("door", timeout=float("inf")) as lock:
        assert lock.mod == "door"
