"""The queues of queue workers: their order, their kinds, and who else uses them."""

import asyncio
import queue
import threading
from contextlib import suppress

import pytest


@pytest.mark.parametrize(
    ("kind_of_queue", "order"),
    [(asyncio.PriorityQueue, [1, 2, 3]), (asyncio.LifoQueue, [2, 1, 3]), (queue.Queue, [3, 1, 2])],
)
def test_the_queue_keeps_its_own_order(make, until, kind_of_queue, order):
    got = []
    worker = make(lambda item, **k: got.append(item), queue=kind_of_queue)
    for item in (3, 1, 2):
        worker.put_threadsafe(item)
    worker.start()
    until(lambda: len(got) == 3)
    assert got == order


def test_items_come_from_many_threads_and_loops_at_once(make):
    got = []
    worker = make(lambda item, **k: got.append(item), queue=True)
    worker.start()

    def put_from_a_thread(name):
        for number in range(100):
            worker.put_threadsafe((name, number))

    async def put_from_a_loop(name):
        for number in range(100):
            await worker.put((name, number))

    putters = [threading.Thread(target=put_from_a_thread, args=(name,)) for name in "ab"]
    putters += [
        threading.Thread(target=lambda name=name: asyncio.run(put_from_a_loop(name)))
        for name in "cd"
    ]
    for one in putters:
        one.start()
    for one in putters:
        one.join(30)
    assert worker.stop(drain=True)
    assert len(got) == 400
    for name in "abcd":
        assert [number for whose, number in got if whose == name] == list(range(100))


@pytest.mark.parametrize("item", [None, (1, "a"), {"no": "order"}, object(), False, ""])
@pytest.mark.parametrize("kind_of_queue", [asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue])
def test_it_stops_whatever_its_items_are(make, kind_of_queue, item):
    gate, began = threading.Event(), threading.Event()

    def work(item, **kwargs):
        began.set()
        gate.wait(10)

    worker = make(work, queue=kind_of_queue)
    worker.start()
    worker.put_threadsafe(item)
    assert began.wait(10)
    worker.put_threadsafe(item)
    worker.stop(wait=False)
    gate.set()
    assert worker.stop()
    assert worker.status().queued == 1


class Ranked:
    """As people write it: it sorts only beside its own kind."""

    def __init__(self, rank):
        self.rank = rank

    def __lt__(self, other):
        return self.rank < other.rank


def test_a_priority_queue_sorts_items_whichever_way_they_were_put(make, until):
    got = []
    worker = make(lambda item, **k: got.append(item.rank), queue=asyncio.PriorityQueue)
    asyncio.run(worker.put(Ranked(3)))
    worker.put_threadsafe(Ranked(1))
    worker.get_queue_obj().put_nowait(Ranked(2))
    worker.start()
    until(lambda: len(got) == 3)
    assert got == [1, 2, 3]


def test_a_priority_queue_loses_no_item_that_can_not_be_compared(make, until):
    got = []
    worker = make(lambda item, **k: got.append(item), queue=asyncio.PriorityQueue)
    items = [(1, {"a": 1}), (2, {"b": 1}), (3, {"c": 1}), (3, {"d": 1}), (2, {"e": 1})]
    for item in items:
        worker.put_threadsafe(item)
    worker.start()
    until(lambda: len(got) == 5)
    assert got == sorted(items, key=lambda item: item[0])
    for odd in ("text", 5, None, object()):
        worker.put_threadsafe(odd).result(10)


def test_what_is_left_in_the_queue_can_be_taken_out_as_it_was_put(make):
    worker = make(lambda item, **k: None, queue=True)
    worker.put_threadsafe("one")
    asyncio.run(worker.put("two"))
    inner = worker.get_queue_obj()
    assert [inner.get_nowait(), inner.get_nowait()] == ["one", "two"]


def test_workers_may_share_a_queue_and_each_item_runs_once(make, until):
    got, items = [], asyncio.Queue()
    workers = [
        make(lambda item, **_: got.append(item), queue=items, name=f"w{number}")
        for number in range(3)
    ]
    for worker in workers:
        worker.start()
    futures = [workers[number % 3].put_threadsafe(number) for number in range(3000)]
    for future in futures:
        future.result(20)
    assert sorted(got) == [*range(3000)]
    workers[0].stop()
    workers[1].put_threadsafe("after one has stopped").result(20)
    assert sum(worker.status().errors for worker in workers) == 0


def test_an_item_taken_by_hand_is_no_failed_run(make, until):
    got = []
    worker = make(lambda item, **_: got.append(item), queue=queue.Queue())
    worker.start()
    by_hand, items = [], worker.get_queue_obj()

    def take():
        while len(by_hand) + len(got) < 3000:
            with suppress(queue.Empty):
                by_hand.append(items.get(timeout=0.01))

    taker = threading.Thread(target=take)
    taker.start()
    for number in range(3000):
        worker.put_threadsafe(number)
    until(lambda: len(by_hand) + len(got) == 3000)
    taker.join(10)
    assert sorted([*got, *by_hand]) == [*range(3000)]
    assert worker.status().errors == 0
    worker.stop()
    assert worker.status().runs == len(got)


@pytest.mark.parametrize(
    "kind", [queue.Queue, queue.PriorityQueue, queue.LifoQueue, asyncio.Queue, asyncio.LifoQueue]
)
def test_every_kind_of_queue_wakes_a_worker_that_waits_also_if_put_by_hand(make, until, kind):
    got = []
    worker = make(lambda item, **_: got.append(item), queue=kind)
    worker.start()
    for number in range(0, 200, 2):
        worker.put_threadsafe(number).result(10)
        worker.get_queue_obj().put_nowait(number + 1)
        until(lambda number=number: len(got) == number + 2)
    assert got == [*range(200)]


@pytest.mark.parametrize("kind", [queue.Queue, asyncio.Queue])
def test_many_threads_put_take_and_push_back_at_once(make, until, kind):
    got, producers = [], 4
    worker = make(lambda item, **_: got.append(item), queue=kind(maxsize=3))
    worker.start()

    def produce(producer):
        for number in range(500):
            worker.put_threadsafe((producer, number), timeout=20)

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    until(lambda: len(got) == producers * 500)
    for producer in range(producers):
        assert [number for which, number in got if which == producer] == [*range(500)]


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (queue.Queue, [3, 1, 2]),
        (queue.LifoQueue, [2, 1, 3]),
        (queue.PriorityQueue, [1, 2, 3]),
        (asyncio.Queue, [3, 1, 2]),
        (asyncio.LifoQueue, [2, 1, 3]),
        (asyncio.PriorityQueue, [1, 2, 3]),
    ],
)
def test_what_a_queue_holds_before_it_has_a_worker_is_run_in_its_order(make, until, kind, order):
    got, items = [], kind(maxsize=3)
    for item in (3, 1, 2):
        items.put_nowait(item)
    worker = make(lambda item, **_: got.append(item), queue=items)
    assert items.qsize() == 3
    worker.start()
    until(lambda: len(got) == 3)
    assert got == order
    assert worker.status().errors == 0


def test_who_awaits_the_queue_itself_is_woken_by_the_workers_thread(make, until):
    inner, got = asyncio.Queue(maxsize=1), []
    worker = make(lambda item, **_: got.append(item), queue=inner)
    worker.start()

    async def put():
        for number in range(300):
            await inner.put(number)

    asyncio.run(asyncio.wait_for(put(), 20))
    until(lambda: len(got) == 300)
    assert got == [*range(300)]


@pytest.mark.parametrize("kind", [queue.Queue, queue.PriorityQueue, queue.LifoQueue])
def test_who_joins_a_queue_of_threads_waits_until_each_item_was_run(make, until, kind):
    items, got = kind(), []

    def target(item, **_):
        got.append(item)
        if item == 1:
            raise OSError("no such item")

    items.put(0)
    worker = make(target, queue=items)
    for item in (1, 2):
        items.put(item)
    worker.put_threadsafe(3).cancel()
    worker.start()
    joining = threading.Thread(target=items.join, daemon=True)
    joining.start()
    joining.join(10)
    assert not joining.is_alive()
    assert sorted(got) == [0, 1, 2]


@pytest.mark.parametrize("by_hand", [True, False])
def test_who_joins_a_queue_of_coroutines_waits_on_any_loop(make, by_hand):
    got = []
    worker = make(lambda item, **_: got.append(item), queue=True)
    worker.start()
    items = worker.get_queue_obj()

    async def join(number):
        if by_hand:
            await items.put(number)
        else:
            await worker.put(number)
        await asyncio.wait_for(items.join(), 10)
        assert number in got

    async def main():
        for number in range(100):
            await join(number)

    asyncio.run(main())
    asyncio.run(main())
    assert got == [*range(100)] * 2


def test_an_item_taken_by_hand_is_waited_for_until_it_is_told_to_be_done(make):
    worker = make(print, queue=True)
    worker.put_threadsafe("item")
    items = worker.get_queue_obj()
    assert items.get_nowait() == "item"

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(items.join(), 0.01)
        items.task_done()
        await asyncio.wait_for(items.join(), 10)

    asyncio.run(main())
