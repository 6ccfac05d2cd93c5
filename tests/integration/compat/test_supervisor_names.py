"""What programs written for neotasker and atasker call on their supervisor."""

import asyncio
import json
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from mainspring import (
    TT_MP,
    TaskSupervisor,
    background_task,
    background_worker,
    set_debug,
    spawn,
    spawn_ajob,
    task_supervisor,
    wait_completed,
)
from mainspring.errors import DuplicateName, InvalidOption, NotRunning, UnknownOption

sys.path.insert(0, str(Path(__file__).parent))

from static_targets import Pid


class Clock:
    """A scheduler of one's own."""

    def __init__(self, worker_loop=None):
        self.worker_loop = worker_loop
        self.threads = []
        self.stopped = False

    async def loop(self):
        self.threads.append(threading.current_thread().name)

    def stop(self):
        self.stopped = True


def test_its_id_and_sizes_are_given_to_the_constructor(no_thread_left):
    with TaskSupervisor(supervisor_id="mine", pool_size=7, reserve_normal=2) as mine:
        info = mine.get_info()
    assert (info.id, info.thread_pool_size, info.thread_reserve_normal) == ("mine", 7, 2)


def test_a_pool_size_of_0_is_no_limit(supervisor, until):
    supervisor.set_thread_pool(pool_size=0)
    together = threading.Barrier(40)
    waits = [supervisor.spawn(together.wait, 10) for _ in range(40)]
    assert sorted(one.result(10) for one in waits) == list(range(40))


def test_info_is_read_by_key_and_attribute_and_as_json(supervisor, until):
    supervisor.create_aloop("io")
    supervisor.create_async_job_scheduler("jobs", aloop="io")

    @background_worker(event=True, supervisor=supervisor)
    def idle():
        pass

    idle.start()
    until(lambda: idle.status().state == "idle")
    info = supervisor.get_info()
    assert info.aloops.io.active is info["aloops"]["io"]["active"] is True
    assert info.schedulers == ["idle"]
    assert info.workers[0].state == "idle"
    assert list(info.async_job_schedulers) == ["jobs"]
    assert (info.thread_tasks_count, info.mp_tasks_count) == (0, 0)
    assert json.loads(json.dumps(info))["id"] == "test"
    with pytest.raises(AttributeError, match="there is no 'loop' among id, "):
        _ = info.loop
    assert "aloops" not in supervisor.get_info(aloops=False)


def test_loops_are_listed_and_one_is_the_default(supervisor):
    first = supervisor.create_aloop("first", default=True)
    assert supervisor.aloops == supervisor.get_aloops() == {"first": first}
    assert supervisor.default_aloop is first
    supervisor.default_aloop = None
    assert supervisor.default_aloop is None
    assert first.is_active()
    assert first.loop is first.get_loop()


def test_schedulers_and_workers_are_listed_by_name(supervisor, until):
    @background_worker(event=True, supervisor=supervisor)
    def idle():
        pass

    idle.start()
    clock = Clock()
    assert supervisor.register_sync_scheduler(clock)
    assert supervisor.get_schedulers() == {"idle": idle, "Clock": clock}
    assert supervisor.unregister_scheduler(clock)
    assert not supervisor.unregister_scheduler(clock)


def test_schedulers_of_one_name_are_all_listed(supervisor):
    clocks = [Clock(), Clock()]
    for clock in clocks:
        supervisor.register_sync_scheduler(clock)
    assert supervisor.get_schedulers() == {"Clock": clocks[0], "Clock-2": clocks[1]}


def test_a_scheduler_that_is_registered_twice_runs_once(supervisor, until):
    class Waiting(Clock):
        async def loop(self):
            await super().loop()
            while not self.stopped:
                await asyncio.sleep(0.001)

    clock = Waiting()
    assert supervisor.register_scheduler(clock)
    assert not supervisor.register_async_scheduler(clock)
    until(lambda: clock.threads)
    assert supervisor.unregister_scheduler(clock)
    assert len(clock.threads) == 1
    assert not supervisor.unregister_scheduler(clock)
    assert supervisor.register_scheduler(clock)
    until(lambda: len(clock.threads) == 2)


@pytest.mark.parametrize("loop", [42, object()])
def test_what_is_no_loop_is_no_default(supervisor, loop):
    with pytest.raises(InvalidOption, match="default_aloop"):
        supervisor.default_aloop = loop


def test_a_scheduler_runs_on_its_own_loop(supervisor):
    async def main():
        clock = Clock(asyncio.get_running_loop())
        assert supervisor.register_async_scheduler(clock)
        while not clock.threads:
            await asyncio.sleep(0.001)
        return clock.threads

    assert asyncio.run(main()) == [threading.current_thread().name]


def test_a_loop_that_is_stopped_stops_the_schedulers_on_it(supervisor, until):
    class Waiting(Clock):
        async def loop(self):
            await super().loop()
            while not self.stopped:
                await asyncio.sleep(0.001)

    supervisor.create_aloop("io", default=True)
    clock = Waiting()
    supervisor.register_scheduler(clock)
    until(lambda: clock.threads)
    assert supervisor.stop_aloop("io", wait=10)
    assert clock.stopped
    assert not supervisor.unregister_scheduler(clock)


def test_what_is_no_scheduler_starts_nothing(no_thread_left):
    idle = TaskSupervisor("idle")
    with pytest.raises(TypeError):
        idle.register_scheduler(object())
    assert not idle.active


@pytest.mark.parametrize("form", ["scheduler first", "target first", "by name"])
def test_a_job_is_created_with_its_scheduler_or_its_target_first(supervisor, until, form):
    runs = []
    scheduler = supervisor.create_async_job_scheduler("jobs")
    create = supervisor.create_async_job
    job = {
        "scheduler first": lambda: create("jobs", target=runs.append, args=(1,)),
        "target first": lambda: create(runs.append, (1,), scheduler=scheduler),
        "by name": lambda: create(target=runs.append, args=(1,)),
    }[form]()
    until(lambda: runs)
    assert supervisor.cancel_async_job("jobs", job)
    assert not supervisor.cancel_async_job(job=job)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"interval": -1}, InvalidOption),
        ({"target": 7}, InvalidOption),
        ({"scheduler": "none"}, InvalidOption),
        ({"every": 1}, UnknownOption),
    ],
)
def test_a_job_that_makes_no_sense_is_not_taken(supervisor, options, error):
    scheduler = supervisor.create_async_job_scheduler("jobs")
    with pytest.raises(error):
        supervisor.create_async_job(**{"target": print, **options})
    assert scheduler.jobs == []


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((print, (), {}, 5.0), {}),
        ((print,), {"target": int}),
        (("jobs", print), {"scheduler": "jobs"}),
    ],
)
def test_no_argument_of_a_job_is_passed_over(supervisor, args, options):
    scheduler = supervisor.create_async_job_scheduler("jobs")
    with pytest.raises(TypeError, match="each once"):
        supervisor.create_async_job(*args, **options)
    assert scheduler.jobs == []


def test_a_scheduler_on_a_loop_that_does_not_exist_takes_no_name(supervisor):
    with pytest.raises(InvalidOption):
        supervisor.create_async_job_scheduler("jobs", aloop="none")
    supervisor.create_async_job_scheduler("jobs")
    with pytest.raises(DuplicateName):
        supervisor.create_async_job_scheduler("jobs")


def test_the_default_scheduler_can_be_changed(supervisor):
    with pytest.raises(NotRunning):
        supervisor.create_async_job(print)
    supervisor.create_async_job_scheduler("first")
    second = supervisor.create_async_job_scheduler("second")
    supervisor.set_default_async_job_scheduler("second")
    job = supervisor.create_async_job(print, timer=600)
    assert second.jobs == [job]


def test_threads_are_spawned_with_their_arguments_apart(supervisor):
    assert supervisor.spawn_thread(divmod, (7, 2)).result(10) == (3, 1)


def test_another_executor_is_set_as_the_pool(supervisor):
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        supervisor.set_thread_pool(pool=pool)
        name = supervisor.spawn(lambda: threading.current_thread().name).result(10)
    assert name == "mine_0"


@pytest.mark.parametrize("make", [lambda: ThreadPool(1), lambda: ThreadPoolExecutor(1)])
def test_a_process_pool_of_ones_own_takes_the_calls(supervisor, make):
    pool = make()
    supervisor.mp_pool = pool
    assert supervisor.mp_pool is pool
    task = background_task(divmod, tt=TT_MP, supervisor=supervisor)(7, 2)
    assert wait_completed(task, timeout=10) == (3, 1)
    (pool.terminate if isinstance(pool, ThreadPool) else pool.shutdown)()


def test_what_is_no_process_pool_is_refused(supervisor):
    with pytest.raises(InvalidOption, match="mp_pool=7"):
        supervisor.mp_pool = 7


def test_a_process_pool_that_was_made_starts_with_the_supervisor(supervisor, until):
    supervisor.create_mp_pool(processes=1)
    supervisor.start()
    until(lambda: supervisor.get_info().pools.processes.ready, 30)


def test_more_children_start_as_calls_ask_for_them(supervisor, until):
    supervisor.set_mp_pool(pool_size=(os.cpu_count() or 1) + 2)
    pool = supervisor.mp_pool
    asleep = [pool.submit(time.sleep, 600) for _ in range((os.cpu_count() or 1) + 2)]
    until(lambda: pool.status().busy == len(asleep), 60)
    pool.interrupt()


def test_the_first_process_runs_find_a_child_that_knows_the_target(supervisor, until):
    worker = Pid(interval=0.05, supervisor=supervisor)
    worker.start()
    until(lambda: len(worker.pids) >= 3, 30)
    worker.stop()
    assert len(set(worker.pids[:3])) == 1
    assert worker.pids[0] != os.getpid()


def test_debugging_is_switched_on_and_off():
    log = logging.getLogger("mainspring.supervision")
    usual = log.getEffectiveLevel()
    set_debug()
    assert log.isEnabledFor(logging.DEBUG)
    set_debug(mode=False)
    assert log.getEffectiveLevel() == usual


def test_the_calls_of_the_usual_supervisor_have_names_of_their_own():
    assert spawn == task_supervisor.spawn
    assert spawn_ajob == task_supervisor.create_async_job
