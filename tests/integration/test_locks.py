"""Named locks of a queue: who holds one, who waits, and what a holder learns that has lost it."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from mainspring import Queue
from mainspring.engine.locks import keeper as keepers
from mainspring.errors import (
    InvalidOption,
    LockNotAcquired,
    NotRunning,
    StoreUnreachable,
    StoreUnusable,
)

LONG = 30.0


@pytest.fixture
def queue(no_thread_left):
    queue = Queue("memory://", lease=LONG, heartbeat=0.1)
    yield queue
    queue.close()


@pytest.fixture
def hasty(no_thread_left):
    """A queue whose lease is soon over; where nothing else is to be lost."""
    queue = Queue("memory://", lease=0.6, heartbeat=0.1)
    yield queue
    queue.close()


@pytest.fixture
def store(queue):
    return queue._store


def holder_of(queue):
    """Return the node of the one lock that is held."""
    (lock,) = queue.locks()
    return lock.node


def test_a_lock_is_to_be_had_after_a_test_has_moved_the_clock(queue, no_thread_left):
    with queue.testing() as test:
        fence = take(queue.lock("a lock", wait=0))
        test.run(hours=5)
        assert take(queue.lock("a lock", wait=0)) > fence
        with queue.lock("a lock") as held:
            test.run(hours=5)
            assert not held.lost


def unreachable():
    return StoreUnreachable("the store", "no answer", "wait")


def in_thread(call):
    """Call it in another thread; return what it returned or raised."""
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(call)
        return future.exception(LONG) or future.result()


def take(lock):
    with lock as held:
        return held.fence


def test_threads_exclude_each_other_and_their_fences_grow(queue):
    lock = queue.lock("a lock")
    inside, fences = [], []

    def enter(_):
        with lock as held:
            inside.append(held.name)
            assert len(inside) == 1
            fences.append(held.fence)
            inside.clear()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(enter, range(20)))
    assert len(fences) == 20
    assert fences == sorted(set(fences))
    assert queue.locks() == []


def test_tasks_exclude_each_other_and_threads(queue):
    fences = []

    async def enter():
        async with queue.lock("a lock") as held:
            before = len(fences)
            await asyncio.sleep(0.002)
            assert len(fences) == before
            fences.append(held.fence)

    async def enter_all():
        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(take, queue.lock("a lock"))
            await asyncio.gather(*(enter() for _ in range(5)))
            return await asyncio.wrap_future(other)

    assert asyncio.run(enter_all())
    assert fences == sorted(set(fences))
    assert queue.locks() == []


def test_locks_of_other_names_are_free(queue):
    with queue.lock("one") as one, queue.lock("another") as another:
        assert (one.name, another.name) == ("one", "another")
        assert [lock.name for lock in queue.locks()] == ["another", "one"]


@pytest.mark.parametrize("wait", [0, 0.02, timedelta(milliseconds=20)])
def test_a_lock_that_is_not_to_be_had_in_time_raises(queue, wait):
    with queue.lock("a lock"):
        error = in_thread(lambda: take(queue.lock("a lock", wait=wait)))
    assert isinstance(error, LockNotAcquired)
    assert isinstance(error, TimeoutError)
    assert error.name == "a lock"
    assert "another holds it" in str(error)
    assert take(queue.lock("a lock", wait=0))


def test_a_lock_of_another_process_is_not_to_be_had_at_once(queue, store):
    other = store.join("other", host="host", pid=1, lease=LONG)
    store.acquire(other, "a lock")
    with pytest.raises(LockNotAcquired, match="another holds it"):
        take(queue.lock("a lock", wait=0))


def test_a_lock_that_another_process_frees_goes_to_who_waits_without_a_poll(
    queue, store, monkeypatch
):
    monkeypatch.setattr(keepers, "LOOK_SECONDS", LONG)
    other = store.join("other", host="host", pid=1, lease=LONG)
    fence = store.acquire(other, "a lock")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(take, queue.lock("a lock"))
        with pytest.raises(LockNotAcquired):
            take(queue.lock("a lock", wait=0.05))
        store.release(other, "a lock", fence)
        assert waiting.result(LONG / 2) > fence


def test_who_waits_rescues_a_holder_whose_lease_has_run_out(queue, store):
    other = store.join("other", host="host", pid=1, lease=0.05)
    fence = store.acquire(other, "a lock")
    assert take(queue.lock("a lock")) > fence
    assert all(node.key != other for node in store.nodes())


@pytest.mark.parametrize("wait", [None, 0])
def test_who_takes_a_lock_twice_is_refused(queue, wait):
    with (
        queue.lock("a lock") as held,
        pytest.raises(LockNotAcquired, match="the caller holds it"),
        queue.lock("a lock", wait=wait),
    ):
        pass
    assert not held.lost

    async def twice():
        async with queue.lock("a lock"):
            with pytest.raises(LockNotAcquired, match="the caller holds it"):
                async with queue.lock("a lock", wait=wait):
                    pass

    asyncio.run(twice())
    assert queue.locks() == []


def test_a_lock_that_no_block_holds_says_so_when_it_is_left(queue):
    lock = queue.lock("report")
    with pytest.raises(NotRunning, match="'report' is held by no block; let `with` take it"):
        lock.__exit__(None, None, None)
    with lock as held:
        assert held.fence == 1


@pytest.mark.parametrize("name", ["", None, 5, "a\0b", "x" * 501, "\ud800"])
def test_a_bad_name_is_refused_before_anything_is_asked(queue, name):
    with pytest.raises(InvalidOption, match="name="):
        queue.lock(name)


@pytest.mark.parametrize("option", [{"wait": -1}, {"wait": "1"}, {"on_lost": 1}])
def test_bad_options_are_refused(queue, option):
    with pytest.raises(InvalidOption, match=next(iter(option))):
        queue.lock("a lock", **option)


def test_an_error_in_the_block_frees_the_lock(queue):
    with pytest.raises(ZeroDivisionError), queue.lock("a lock"):
        raise ZeroDivisionError
    assert queue.locks() == []


def test_a_cancelled_wait_leaves_no_request(queue):
    async def give_up():
        async with queue.lock("a lock"):
            waiting = asyncio.create_task(enter())
            await asyncio.sleep(0.02)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting

    async def enter():
        async with queue.lock("a lock"):
            raise AssertionError

    asyncio.run(give_up())
    assert take(queue.lock("a lock", wait=0))


def test_a_holder_that_was_rescued_learns_that_it_has_lost_the_lock(queue, store, eventually):
    told = threading.Event()
    with queue.lock("a lock", on_lost=told.set) as held:
        assert not held.lost
        store.rescue(holder_of(queue), dead=True, begun=None)
        assert told.wait(LONG)
        assert held.lost
        fence = in_thread(lambda: take(queue.lock("a lock")))
    assert fence > held.fence
    assert not told.is_set() or take(queue.lock("a lock")) > fence


def test_a_holder_that_has_lost_the_lock_may_take_it_again_in_its_block(queue):
    lock = queue.lock("a lock")
    with lock as lost:
        queue.close()
        with lock as held:
            assert (lost.lost, held.lost) == (True, False)
        assert queue.locks() == []
    assert in_thread(lambda: take(lock)) > held.fence


def test_who_waits_goes_on_waiting_when_its_own_lease_was_lost(queue, store, eventually):
    other = store.join("other", host="host", pid=1, lease=LONG)
    fence = store.acquire(other, "a lock")
    with ThreadPoolExecutor(1) as threads, queue.lock("another") as held:
        waiting = threads.submit(take, queue.lock("a lock"))
        mine = eventually(lambda: [one.node for one in queue.locks() if one.node != other])
        store.rescue(mine[0], dead=True, begun=None)
        eventually(lambda: held.lost)
        store.release(other, "a lock", fence)
        assert waiting.result(LONG) > fence


def test_an_on_lost_that_raises_harms_nobody(queue, store, caplog, eventually):
    with queue.lock("a lock", on_lost=lambda: 1 / 0) as held:
        store.rescue(holder_of(queue), dead=True, begun=None)
        eventually(lambda: "on_lost of lock 'a lock' raised" in caplog.text)
        assert take(queue.lock("another"))
    assert held.lost


def test_an_on_lost_may_want_a_lock_itself(queue, store):
    told = threading.Event()

    def go_on_elsewhere():
        take(queue.lock("another", wait=LONG))
        told.set()

    with queue.lock("a lock", on_lost=go_on_elsewhere):
        store.rescue(holder_of(queue), dead=True, begun=None)
        assert told.wait(LONG)


def test_a_holder_whose_store_is_silent_has_lost_the_lock_with_its_lease(
    hasty, monkeypatch, eventually
):
    def fail(*_, **__):
        raise unreachable()

    with hasty.lock("a lock") as held:
        with monkeypatch.context() as patched:
            patched.setattr(hasty._store, "renew", fail)
            eventually(lambda: held.lost)
        eventually(lambda: hasty.locks() == [])
        assert take(hasty.lock("a lock")) > held.fence


def test_a_holder_learns_of_the_loss_though_the_store_hangs(hasty, monkeypatch, gate):
    told = threading.Event()
    with hasty.lock("a lock", on_lost=told.set):
        monkeypatch.setattr(hasty._store, "renew", lambda *_, **__: gate.wait(LONG))
        assert told.wait(LONG / 2)
        gate.set()


def test_an_answer_that_was_lost_costs_nobody_the_lock(queue, store, monkeypatch):
    acquire, fences = store.acquire, []

    def lose_the_answer(node, name):
        fences.append(acquire(node, name))
        if len(fences) == 1:
            raise unreachable()
        return fences[-1]

    monkeypatch.setattr(store, "acquire", lose_the_answer)
    assert take(queue.lock("a lock")) == fences[0] == fences[1]


def test_a_lock_that_was_given_in_a_lost_answer_is_freed_when_nobody_wants_it_any_more(
    queue, store, monkeypatch, eventually
):
    acquire = store.acquire
    asked = threading.Event()

    def lose_the_answer(node, name):
        if not asked.is_set():
            acquire(node, name)
            asked.set()
            raise unreachable()
        return acquire(node, name)

    monkeypatch.setattr(store, "acquire", lose_the_answer)

    async def give_up():
        async with queue.lock("a lock"):
            raise AssertionError

    async def give_up_soon():
        waiting = asyncio.create_task(give_up())
        await asyncio.to_thread(asked.wait)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    asyncio.run(give_up_soon())
    eventually(lambda: queue.locks() == [])


def test_an_unusable_store_raises_its_error(queue, store, monkeypatch):
    def fail(*_, **__):
        raise StoreUnusable("the store", "it is broken", "mend it")

    monkeypatch.setattr(store, "join", fail)
    with pytest.raises(StoreUnusable, match="broken"):
        take(queue.lock("a lock"))


def test_closing_the_queue_ends_locks_and_waits(queue, store, eventually):
    with ThreadPoolExecutor(1) as threads, queue.lock("a lock") as held:
        waiting = threads.submit(take, queue.lock("a lock"))
        eventually(lambda: not waiting.running() or queue._lock_keeper()._lines.waiting)
        queue.close()
        assert isinstance(waiting.exception(LONG), NotRunning)
        assert held.lost
        assert store.nodes() == []
    assert take(queue.lock("a lock")) > held.fence


def test_who_holds_locks_only_is_no_worker(queue, store):
    with queue.lock("a lock"):
        assert [node.running for node in store.nodes()] == [0]
        assert queue.nodes() == []


def test_a_process_that_wants_no_lock_for_a_while_leaves_the_store(
    queue, store, monkeypatch, eventually
):
    monkeypatch.setattr(keepers, "LINGER_SECONDS", 0.05)
    fence = take(queue.lock("a lock"))
    eventually(lambda: store.nodes() == [])
    eventually(lambda: queue._lock_keeper()._thread is None)
    assert take(queue.lock("a lock")) > fence


FORK = """
import os, sys
from mainspring import Queue
from mainspring.errors import LockNotAcquired

queue = Queue(sys.argv[1], durability="normal")
with queue.lock("a lock") as held:
    child = os.fork()
    if not child:
        try:
            with queue.lock("a lock", wait=0):
                os._exit(2)
        except LockNotAcquired:
            os._exit(0 if held.lost else 3)
    assert os.waitpid(child, 0) == (child, 0)
    assert not held.lost
queue.close()
"""


ENDS = """
import sys
from mainspring import Queue

held = Queue(sys.argv[1], durability="normal").lock("a lock").__enter__()
"""


def test_a_process_that_ends_leaves_the_store_without_a_close(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    subprocess.run([sys.executable, "-c", ENDS, url], check=True, timeout=60)
    queue = Queue(url)
    try:
        assert queue.locks() == []
        assert queue._client.store.nodes() == []
    finally:
        queue.close()


def test_a_forked_child_has_no_lock_of_its_parent_s(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, url]
    subprocess.run(command, check=True, timeout=60)
