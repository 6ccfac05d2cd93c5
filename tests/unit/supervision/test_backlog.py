import asyncio
import queue
import threading
import time
from contextlib import suppress

import pytest

from mainspring.errors import NotRunning
from mainspring.supervision.sleeper import ThreadSleeper
from mainspring.supervision.triggers.backlog import Backlog, Items


def everything(backlog):
    return [backlog.take() for _ in range(len(backlog))]


def test_items_come_out_in_order_and_none_is_an_item():
    backlog = Backlog()
    for item in (1, None, 3):
        backlog.put(item)
    assert everything(backlog) == [1, None, 3]


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (asyncio.PriorityQueue, [1, 2, 3]),
        (asyncio.LifoQueue, [2, 3, 1]),
        (queue.PriorityQueue, [1, 2, 3]),
        (queue.Queue, [1, 3, 2]),
    ],
)
def test_the_queue_decides_the_order(kind, order):
    backlog = Backlog(kind())
    for item in (1, 3, 2):
        backlog.put(item)
    assert everything(backlog) == order


def test_what_is_put_straight_into_the_queue_wakes_too():
    inner, woken = asyncio.Queue(), []
    Backlog(inner).bind(lambda: woken.append(1))
    inner.put_nowait("item")
    assert woken == [1]


def test_something_that_is_no_queue_is_refused():
    with pytest.raises(TypeError, match="queue="):
        Backlog([])


def test_a_full_queue_makes_a_thread_wait_until_there_is_space():
    backlog = Backlog(asyncio.Queue(maxsize=1))
    backlog.offer("first")
    thread = threading.Thread(target=backlog.offer, args=("second",))
    thread.start()
    assert backlog.take() == "first"
    thread.join(10)
    assert not thread.is_alive()
    assert backlog.take() == "second"


def test_a_thread_waits_for_space_no_longer_than_it_said():
    backlog = Backlog(asyncio.Queue(maxsize=1), owner="mail")
    backlog.offer("first")
    with pytest.raises(TimeoutError, match="mail"):
        backlog.offer("second", timeout=0.01)
    assert everything(backlog) == ["first"]


def test_a_full_queue_makes_coroutines_wait_in_turn():
    async def live():
        backlog = Backlog(asyncio.Queue(maxsize=2))
        puts = [asyncio.create_task(backlog.aput(number)) for number in range(50)]
        taken = []
        while len(taken) < 50:
            await asyncio.sleep(0)
            assert len(backlog) <= 2
            taken += everything(backlog)
        await asyncio.gather(*puts)
        return taken

    assert sorted(asyncio.run(live())) == list(range(50))


def test_a_place_offered_to_one_who_was_cancelled_goes_to_the_next():
    async def live():
        backlog = Backlog(asyncio.Queue(maxsize=1))
        backlog.put("first")
        waiting = [asyncio.create_task(backlog.aput(number)) for number in range(2)]
        await asyncio.sleep(0)
        backlog.take()
        waiting[0].cancel()
        await asyncio.wait_for(waiting[1], 10)
        return everything(backlog)

    assert asyncio.run(live()) == [1]


def test_after_shut_nothing_gets_in_and_who_waits_is_told():
    backlog = Backlog(asyncio.Queue(maxsize=1), owner="mail")
    backlog.put("first")
    errors = []

    def offer():
        try:
            backlog.offer("second")
        except NotRunning as error:
            errors.append(error)

    thread = threading.Thread(target=offer)
    thread.start()
    backlog.shut()
    thread.join(10)
    assert len(errors) == 1
    with pytest.raises(NotRunning, match="mail"):
        backlog.put("third")
    backlog.open()
    backlog.take()
    backlog.put("fourth")


def test_items_are_due_one_by_one():
    items = Items(Backlog())
    assert items.due(0.0) is None
    items.backlog.put("a")
    items.backlog.put("b")
    assert items.due(0.0) == 0
    assert [items.take(0.0), items.take(0.0)] == [("a",), ("b",)]
    assert items.due(0.0) is None


def test_closing_leaves_the_items_for_the_next_start():
    backlog = Backlog()
    items = Items(backlog)
    backlog.put("a")
    items.close()
    assert items.closed
    assert len(backlog) == 1


def test_draining_closes_when_nothing_is_left():
    items = Items(Backlog())
    items.backlog.put("a")
    items.drain()
    assert not items.closed
    items.take(0.0)
    assert items.closed


def test_the_queue_holds_what_is_packed_and_shows_what_is_unpacked():
    backlog = Backlog(asyncio.Queue(), pack=lambda item: [item], unpack=lambda packed: packed[0])
    backlog.put("one")
    backlog.queue.put_nowait("two")
    backlog.put("three")
    assert backlog.take() == ["one"]
    assert backlog.queue.get_nowait() == "two"
    assert backlog.take() == ["three"]


@pytest.mark.parametrize("kind", [asyncio.Queue, queue.Queue])
def test_an_item_taken_by_hand_lets_one_who_waits_for_space_in(kind):
    inner = kind(maxsize=1)
    backlog = Backlog(inner, pack=lambda item: [item], unpack=lambda packed: packed[0])
    backlog.offer("first")
    thread = threading.Thread(target=backlog.offer, args=("second", 10))
    thread.start()
    assert inner.get_nowait() == "first"
    thread.join(5)
    assert not thread.is_alive()
    assert everything(backlog) == [["second"]]


def test_no_one_who_waits_for_space_is_forgotten_however_items_are_taken():
    inner, count = queue.Queue(maxsize=1), 300
    backlog, got = Backlog(inner), []

    def produce():
        for number in range(count):
            backlog.offer(number, 30)

    producers = [threading.Thread(target=produce) for _ in range(2)]
    for producer in producers:
        producer.start()
    while len(got) < 2 * count:
        got.append(inner.get(timeout=10) if len(got) % 2 else taken(backlog))
    for producer in producers:
        producer.join(10)
        assert not producer.is_alive()
    assert sorted(got) == sorted(2 * [*range(count)])


def taken(backlog):
    while True:
        with suppress(queue.Empty, asyncio.QueueEmpty):
            return backlog.take()
        time.sleep(0)


def test_who_takes_by_hand_and_who_takes_the_packed_one_never_get_the_same():
    inner, count, by_hand, packed = queue.Queue(), 20_000, [], []
    backlog = Backlog(inner, pack=lambda item: [item], unpack=lambda one: one[0])
    for number in range(count):
        backlog.put(number)

    def take(get, got):
        with suppress(queue.Empty, asyncio.QueueEmpty):
            while True:
                got.append(get())

    threads = [
        threading.Thread(target=take, args=args)
        for args in ((inner.get_nowait, by_hand), (backlog.take, packed), (backlog.take, packed))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted([*by_hand, *(number for (number,) in packed)]) == [*range(count)]


def test_a_trigger_whose_item_is_gone_has_nothing_to_run():
    backlog = Backlog()
    items = Items(backlog)
    backlog.put("item")
    assert items.due(0.0) == 0.0
    backlog.queue.get_nowait()
    assert items.take(0.0) is None


def test_backlogs_of_one_queue_are_all_woken_and_shut_apart():
    inner, woken = asyncio.Queue(maxsize=1), []
    first, second = Backlog(inner, owner="first"), Backlog(inner, owner="second")
    first.bind(lambda: woken.append(1))
    second.bind(lambda: woken.append(2))
    first.put("item")
    assert woken == [1, 2]
    second.shut()
    with pytest.raises(NotRunning, match="second"):
        second.put("item")
    assert everything(second) == ["item"]
    first.put("another")
    assert woken == [1, 2, 1]


@pytest.mark.parametrize("kind", [asyncio.Queue, queue.Queue])
def test_who_finds_that_another_was_faster_waits_as_if_there_had_been_no_space(kind):
    class Claimed(kind):
        claimed = False

        def put_nowait(self, item):
            if not self.claimed:
                self.claimed = True
                super().put_nowait("a signal handler's")
            super().put_nowait(item)

    backlog = Backlog(Claimed(maxsize=1))
    thread = threading.Thread(target=backlog.offer, args=("mine", 10))
    thread.start()
    got = [taken(backlog), taken(backlog)]
    thread.join(10)
    assert got == ["a signal handler's", "mine"]


def test_a_place_is_not_offered_to_a_thread_whose_wait_was_interrupted(monkeypatch):
    backlog = Backlog(queue.Queue(maxsize=1))
    backlog.put("first")

    def interrupt(sleeper, seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ThreadSleeper, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            backlog.offer("second")
    other = threading.Thread(target=backlog.offer, args=("third", 10))
    other.start()
    assert taken(backlog) == "first"
    other.join(5)
    assert not other.is_alive()
    assert backlog.take() == "third"


def test_a_place_is_not_offered_to_a_coroutine_whose_loop_is_gone():
    backlog = Backlog(asyncio.Queue(maxsize=1))
    backlog.put("first")
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(backlog.aput("second"))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    other = threading.Thread(target=backlog.offer, args=("third", 10))
    other.start()
    assert taken(backlog) == "first"
    other.join(5)
    assert not other.is_alive()
    waiting._log_destroy_pending = False


def test_an_item_that_its_queue_refuses_leaves_nobody_behind_who_waits():
    backlog = Backlog(queue.PriorityQueue(maxsize=2))
    backlog.put(1)
    backlog.put(2)
    refused, done = [], threading.Event()

    def offer():
        try:
            backlog.offer("no number")
        except TypeError as error:
            refused.append(error)
        done.set()

    threading.Thread(target=offer).start()
    while not backlog._hook._waiters:
        time.sleep(0)
    backlog.take()
    assert done.wait(10)
    assert refused
    assert not backlog._hook._waiters


@pytest.mark.parametrize("kind", [queue.Queue, queue.PriorityQueue, asyncio.Queue])
def test_to_forget_its_items_in_a_forked_child_takes_no_lock_of_the_queue(kind):
    inner = kind()
    backlog = Backlog(inner)
    backlog.put("item")
    held = getattr(inner, "mutex", threading.Lock())
    held.acquire()  # as by a thread that the child has not
    forgetting = threading.Thread(target=backlog.forget, daemon=True)
    forgetting.start()
    forgetting.join(5)
    assert not forgetting.is_alive()
    assert len(backlog) == 0
    backlog.put("another")
    assert backlog.take() == "another"
