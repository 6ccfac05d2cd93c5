"""Background workers that run with each item of a queue."""

import asyncio
import contextlib
import threading
import time

import pytest

from mainspring import BackgroundQueueWorker, background_worker
from mainspring.errors import NotRunning


def waits_for(gate, got):
    """Return a target that waits for the gate, then notes its item."""

    def work(item, **kwargs):
        gate.wait(10)
        got.append(item)

    return work


def test_items_come_in_order_from_any_thread_and_none_is_an_item(make, until):
    got = []
    worker = make(lambda item, **k: got.append(item), queue=True)
    worker.put_threadsafe(None)
    worker.start()
    for item in range(500):
        worker.put_threadsafe(item)
    until(lambda: len(got) == 501)
    assert got == [None, *range(500)]


def test_put_from_a_coroutine_and_the_future_of_a_put(make):
    worker = make(lambda item, **k: item * 2 if item else 1 / 0, queue=True)
    worker.start()
    asyncio.run(worker.put(3))
    assert worker.put_threadsafe(21).result(10) == 42
    with pytest.raises(ZeroDivisionError):
        worker.put_threadsafe(0).result(10)


def test_what_is_left_at_a_stop_waits_for_the_next_start(make, until):
    got, gate = [], threading.Event()

    worker = make(waits_for(gate, got), queue=True)
    worker.start()
    for item in range(100):
        worker.put_threadsafe(item)
    until(lambda: worker.status().state == "running")
    worker.stop(wait=False)
    gate.set()
    until(worker.is_stopped)
    assert worker.status().queued == 99
    with pytest.raises(NotRunning):
        worker.put_threadsafe(100)
    worker.start()
    until(lambda: len(got) == 100)
    assert got == list(range(100))


def test_a_drain_finishes_what_is_queued(make):
    got = []
    worker = make(lambda item, **k: got.append(item), queue=True)
    worker.start()
    for item in range(300):
        worker.put_threadsafe(item)
    assert worker.stop(drain=True)
    assert got == list(range(300))


def test_a_bounded_queue_pushes_back(make, until):
    gate = threading.Event()
    worker = make(lambda item, **k: gate.wait(10), queue=asyncio.Queue(maxsize=2))
    worker.start()
    worker.put_threadsafe(0)
    until(lambda: worker.status().state == "running")
    worker.put_threadsafe(1)
    worker.put_threadsafe(2)
    with pytest.raises(TimeoutError):
        worker.put_threadsafe(3, timeout=0.01)
    threading.Timer(0.02, gate.set).start()
    worker.put_threadsafe(4, timeout=10)
    assert worker.stop(drain=True)
    assert worker.status().runs == 4


def test_hooks_of_a_queue_see_each_item(supervisor, until):
    diary = []

    class Diarist(BackgroundQueueWorker):
        def before_queue_get(self):
            diary.append("before")

        def after_queue_get(self, task):
            diary.append(task)

        def run(self, task, **kwargs):
            diary.append(f"run {task}")

    worker = Diarist(supervisor=supervisor)
    worker.start()
    worker.put_threadsafe("a").result(10)
    assert diary == ["before", "a", "run a"]


@pytest.mark.parametrize("hook", ["before_queue_get", "after_queue_get"])
def test_a_hook_of_a_queue_that_raises_fails_its_item_and_the_next_one_runs(make, hook, supervisor):
    got, broken = [], [1]

    def fail(self, *task):
        if broken:
            broken.pop()
            raise OSError("hook is broken")

    target = make(lambda task, **k: got.append(task), queue=True).run
    kind = type("Kind", (BackgroundQueueWorker,), {hook: fail})
    worker = kind("hooked", target, supervisor=supervisor)
    worker.start()
    with pytest.raises(OSError, match="hook is broken"):
        worker.put_threadsafe("first").result(10)
    worker.put_threadsafe("second").result(10)
    assert got == ["second"]
    assert worker.status().errors == 1
    assert worker.stop(5)


def test_a_drain_without_waiting_goes_on_in_the_background(make, until):
    got, gate = [], threading.Event()

    worker = make(waits_for(gate, got), queue=True)
    worker.start()
    for item in range(20):
        worker.put_threadsafe(item)
    assert worker.stop(wait=False, drain=True) is False
    assert not worker.is_active()
    gate.set()
    until(worker.is_stopped)
    assert got == list(range(20))


def test_a_drain_with_a_limit_keeps_to_it_and_leaves_the_rest(make, until, caplog):
    got, gate = [], threading.Event()

    worker = make(waits_for(gate, got), queue=True)
    worker.start()
    for item in range(5):
        worker.put_threadsafe(item)
    until(lambda: worker.status().state == "running")
    since = time.monotonic()
    assert worker.stop(wait=0.1, drain=True) is False
    assert time.monotonic() - since < 2
    assert "has not ended after 0.1 s" in caplog.text
    gate.set()
    until(worker.is_stopped)
    assert got == [0]
    assert worker.status().queued == 4


def test_a_bounded_queue_makes_a_coroutine_wait_and_a_stop_wakes_it(make, until):
    gate = threading.Event()
    worker = make(lambda item, **k: gate.wait(10), queue=asyncio.Queue(maxsize=1))
    worker.start()
    worker.put_threadsafe(0)
    until(lambda: worker.status().state == "running")

    async def live():
        await worker.put(1)
        third = asyncio.create_task(worker.put(2))
        fourth = asyncio.create_task(worker.put(3))
        done, _ = await asyncio.wait([third, fourth], timeout=0.05)
        assert not done
        worker.stop(wait=False)
        gate.set()
        with pytest.raises(NotRunning):
            await third
        with pytest.raises(NotRunning):
            await fourth

    asyncio.run(live())
    assert worker.stop()
    assert worker.status().queued == 1


def test_an_item_whose_future_is_cancelled_before_its_run_is_not_run(make, until):
    got = []
    worker = make(lambda item, **_: got.append(item), queue=True)
    futures = [worker.put_threadsafe(number) for number in range(3)]
    assert futures[1].cancel()
    worker.start()
    assert futures[2].result(10) is None
    assert got == [0, 2]
    worker.stop()
    assert worker.status().runs == 2
    assert not futures[0].cancel()


def test_the_future_of_an_item_tells_of_a_raise_a_cut_run_and_a_run_that_never_came(
    supervisor, until
):
    begun = []

    @background_worker(queue=True, supervisor=supervisor)
    async def work(item):
        if item == "bad":
            raise ValueError(item)
        begun.append(item)
        await asyncio.sleep(60)

    work.start()
    bad, cut, left = [work.put_threadsafe(item) for item in ("bad", "long", "left")]
    with pytest.raises(ValueError, match="bad"):
        bad.result(10)
    until(lambda: begun)
    supervisor.stop(wait=0.05)
    with pytest.raises(asyncio.CancelledError):
        cut.result(10)
    assert not left.done()
    assert work.status().queued == 1


@pytest.mark.parametrize("kind", ["thread", "put", "put_threadsafe"])
def test_a_target_that_waits_for_space_in_its_own_queue_is_said(supervisor, until, caplog, kind):
    def fill(item, _worker):
        for more in range(item):
            _worker.put_threadsafe(more)

    async def fill_later(item, _worker):
        for more in range(item):
            await _worker.put(more)

    async def fill_here(item, _worker):
        fill(item, _worker)

    target = {"thread": fill, "put": fill_later, "put_threadsafe": fill_here}[kind]
    worker = background_worker(queue=asyncio.Queue(maxsize=1), supervisor=supervisor)(target)
    worker.start()
    worker.put_threadsafe(3)
    until(lambda: "waits in its own target for space in its queue" in caplog.text)
    worker.stop(1)
    assert caplog.text.count("waits in its own target") == 1


@pytest.mark.parametrize("helped", ["by a task", "with a timeout"])
def test_a_target_whose_queue_is_full_is_not_scolded_for_what_ends(
    supervisor, until, caplog, helped
):
    got = []

    async def fill(item, _worker):
        got.append(item)
        if item == "first" and helped == "by a task":
            tasks.extend(asyncio.create_task(_worker.put(more)) for more in range(3))
            await asyncio.sleep(0)
        elif item == "first":
            with contextlib.suppress(TimeoutError):
                for more in range(3):
                    _worker.put_threadsafe(more, timeout=0.01)

    tasks = []
    worker = background_worker(queue=asyncio.Queue(maxsize=1), supervisor=supervisor)(fill)
    worker.start()
    worker.put_threadsafe("first")
    until(lambda: len(got) == (4 if helped == "by a task" else 2))
    assert "waits in its own target" not in caplog.text
