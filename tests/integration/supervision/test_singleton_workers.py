"""Workers that one process at a time runs: two queues on one file stand for two processes."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from mainspring import (
    BackgroundIntervalWorker,
    BackgroundWorker,
    Queue,
    Restart,
    TaskSupervisor,
    background_worker,
)
from mainspring.background.workers.singleton import SingletonGate
from mainspring.errors import InvalidOption, StoreUnusable
from mainspring.model.schedule import Cron
from mainspring.supervision.triggers.scheduled import Scheduled
from mainspring.supervision.workers.worker import Worker

STANDBY = "the singleton lock"


class Process:
    """A queue and a supervisor of one's own, as another process would have them."""

    def __init__(self, url):
        self.queue = Queue(url, durability="normal", heartbeat=0.2)
        self.supervisor = TaskSupervisor("process", grace=5.0)

    def worker(self, target, **options):
        given = {"name": "meter", "singleton": self.queue, "supervisor": self.supervisor}
        return background_worker(**{**given, **options})(target)

    def lose_its_lease(self):
        (node,) = {lock.node for lock in self.queue.locks()}
        self.queue._store.rescue(node, dead=True, begun=None)

    def end(self):
        self.supervisor.stop()
        self.queue.close()


@pytest.fixture
def processes(tmp_path):
    made = [Process(f"sqlite:///{tmp_path / 'jobs.db'}") for _ in range(2)]
    yield made
    for process in made:
        process.end()


@pytest.fixture
def diary():
    return []


def colored(colour, target):
    if colour == "sync":
        return target

    async def atarget(*args):
        target(*args)
        await asyncio.sleep(0)

    return atarget


def set_off(worker, kind):
    if kind == "queue":
        worker.put_threadsafe("item")
    elif kind == "event":
        worker.trigger_threadsafe()


def test_one_of_two_runs_and_the_other_takes_over_when_it_stops(
    processes, diary, kind, of_kind, colour, until
):
    first, second = (
        process.worker(colored(colour, lambda *_, number=number: diary.append(number)), **of_kind)
        for number, process in enumerate(processes)
    )
    first.start()
    set_off(first, kind)
    until(lambda: 0 in diary)
    second.start()
    set_off(second, kind)
    until(lambda: second.status().state == "standby")
    assert second.status().waits_for == STANDBY
    assert first.status().waits_for is None
    (info,) = processes[1].supervisor.get_info().workers
    assert (info.state, info.waits_for, info.runs) == ("standby", STANDBY, 0)
    assert second.is_active()
    assert 1 not in diary
    fence = first.fence
    assert first.stop()
    runs = len(diary)
    until(lambda: 1 in diary)
    assert 0 not in diary[runs:]
    assert second.fence > fence


def test_a_coroutine_is_cancelled_when_the_lease_is_lost_and_its_worker_stands_by(
    processes, until, caplog, gate
):
    lives = []

    async def hold(_worker):
        lives.append(("begin", _worker.fence))
        try:
            while not gate.is_set():
                await asyncio.sleep(0.005)
        finally:
            lives.append(("end", _worker.fence))

    first, second = (process.worker(hold) for process in processes)
    first.start()
    until(lambda: first.status().state == "running")
    second.start()
    until(lambda: second.status().state == "standby")
    processes[0].lose_its_lease()
    until(lambda: second.status().state == "running")
    until(lambda: first.status().state == "standby")
    (_, old), _, (_, new) = sorted(lives, key=lambda life: life[1])
    assert {("begin", old), ("end", old), ("begin", new)} == set(lives)
    assert old < new
    assert first.is_active()
    second.stop(wait=False)
    gate.set()
    until(lambda: first.status().runs > 1)
    assert lives[-1][1] > new
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_coroutine_that_heeds_no_cancelling_keeps_its_worker_going(processes, until, gate):
    process = processes[0]
    fences = []

    async def hold(_worker):
        fences.append(_worker.fence)
        try:
            while not gate.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            return

    worker = process.worker(hold)
    worker.start()
    for runs in (1, 2):
        until(lambda runs=runs: len(fences) == runs)
        process.lose_its_lease()
    until(lambda: len(fences) == 3)
    assert fences == sorted(set(fences))
    assert worker.stop(wait=False) is False
    gate.set()
    assert worker.stop()


def test_a_thread_learns_that_the_lease_is_lost_and_its_worker_stands_by(processes, until):
    ended = []

    def hold(_worker):
        if _worker.lease_lost.wait(20):
            ended.append(_worker.fence)
        return False  # for who holds on to a lost lease this ends the run alone

    first, second = (process.worker(hold) for process in processes)
    first.start()
    until(lambda: first.status().state == "running")
    old = first.fence
    second.start()
    processes[0].lose_its_lease()
    until(lambda: ended == [old])
    until(lambda: second.status().state == "running")
    until(lambda: first.status().state == "standby")
    assert not first.lease_lost.is_set()
    assert second.fence > old
    first.stop()
    second.stop(wait=False)
    second.lease_lost.set()


def test_a_loop_of_a_class_runs_again_when_it_gets_the_lock_back(processes, until):
    class Meter(BackgroundWorker):
        runs = 0

        def loop(self):
            self.runs += 1
            self.lease_lost.wait(20)

        def send_stop_events(self):
            self.lease_lost.set()

    process = processes[0]
    meter = Meter("meter", singleton=process.queue, supervisor=process.supervisor)
    meter.start()
    until(lambda: meter.runs == 1)
    process.lose_its_lease()
    until(lambda: meter.runs == 2)


def test_workers_of_one_name_in_one_process_exclude_each_other(processes, diary, until):
    process = processes[0]

    def meter(_name):
        diary.append(_name)

    first, second = (process.worker(meter, name=None, interval=0.005) for _ in range(2))
    first.start()
    until(lambda: "meter" in diary)
    second.start()
    until(lambda: second.status().state == "standby")
    first.stop()
    until(lambda: len(set(diary)) == 2)
    assert [lock.name for lock in process.queue.locks()] == ["worker meter"]


def test_a_worker_that_gives_up_lets_another_take_over(processes, until):
    def fail():
        raise ZeroDivisionError

    first = processes[0].worker(fail, restart=Restart(max_failures=0))
    second = processes[1].worker(lambda _worker: _worker.lease_lost.wait(0.05))
    first.start()
    until(lambda: first.status().state == "failed")
    second.start()
    until(lambda: second.status().runs > 0)


def test_a_worker_that_ends_itself_frees_the_lock(processes, until):
    first, second = (
        process.worker(lambda _worker: bool(_worker.lease_lost.wait(0.01))) for process in processes
    )
    for worker in (first, second):
        worker.start()
        until(lambda worker=worker: worker.is_stopped())
        assert worker.status().runs == 1
    assert processes[0].queue.locks() == []


def test_the_ticks_of_others_are_not_made_up_for(processes, diary, until):
    first = processes[0].worker(lambda: diary.append(0), interval=0.05, misfire="all")
    second = processes[1].worker(lambda: diary.append(1), interval=0.05)
    first.start()
    until(lambda: 0 in diary)
    second.start()
    processes[0].lose_its_lease()
    until(lambda: diary.count(1) >= 10)
    before = diary.count(0)
    began = first.status().runs
    second.stop()
    until(lambda: first.status().runs > began)
    assert diary.count(0) - before <= 3


def test_a_store_that_can_t_give_locks_is_an_error_of_the_worker(
    processes, monkeypatch, until, diary
):
    def fail(*_, **__):
        raise StoreUnusable("the store", "it is broken", "mend it")

    process = processes[0]
    worker = process.worker(lambda: diary.append(1), interval=0.01)
    with monkeypatch.context() as patched:
        patched.setattr(process.queue._store, "join", fail)
        worker.start()
        until(lambda: "it is broken" in (worker.status().error or ""))
    until(lambda: diary)


@pytest.mark.parametrize(
    ("func", "options"),
    [
        (lambda: None, {"interval": 1}),
        (None, {"interval": 1}),
        (print, {"interval": 1, "singleton": "jobs.db"}),
        (print, {"interval": 1, "singleton": threading.Lock()}),
    ],
)
def test_a_singleton_needs_a_queue_and_a_name_of_all_processes(func, options):
    queue = Queue("memory://")
    with pytest.raises(InvalidOption, match="singleton="):
        BackgroundIntervalWorker(None, func, **{"singleton": queue, **options})


def test_a_worker_without_a_name_is_no_singleton_before_it_has_one(processes):
    queue = processes[0].queue
    worker = BackgroundIntervalWorker(interval=1)
    with pytest.raises(InvalidOption, match="give name="):
        worker.singleton = queue
    worker.name = "meter"
    worker.singleton = queue
    assert worker.singleton is queue


def test_without_a_singleton_nothing_is_asked(processes, until):
    process = processes[0]
    worker = process.worker(lambda: None, singleton=None, interval=0.005)
    worker.start()
    until(lambda: worker.status().runs > 1)
    assert worker.fence is None
    assert process.queue._store.nodes() == []


class Lock:
    """A lock that is granted and lost as the test says."""

    def ask(self, on_change):
        self.on_change, self.held, self.lost, self.error, self.fence = (
            on_change,
            False,
            False,
            None,
            1,
        )
        return self

    def become(self, *, held, lost=False):
        self.held, self.lost = held, lost
        self.on_change()


def test_cron_ticks_that_went_by_while_another_held_the_lock_are_not_made_up_for():
    minutes, lock = [0.0], Lock()
    trigger = Scheduled(
        Cron("*/10 * * * *"), clock=lambda: datetime.fromtimestamp(60 * minutes[0], UTC)
    )
    worker = Worker("meter", int, trigger)
    worker.gate = SingletonGate(lock, trigger, threading.Event())
    worker.bind(lambda: None)

    def pause():
        return worker.pause(0.0)

    assert pause() is None
    lock.become(held=True)
    minutes[0] = 5
    assert pause() <= 300
    lock.become(held=False, lost=True)
    assert pause() is None
    minutes[0] = 15  # the tick of minute 10 was another's
    lock.become(held=True)
    assert pause() > 0
    minutes[0] = 20
    assert pause() <= 0
