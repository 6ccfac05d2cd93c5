"""The code of neotasker's page on its supervisor; the lines that its page has lost are restored."""

import pytest

START = """
from neotasker import task_supervisor

# thread pool
task_supervisor.set_thread_pool(min_size=10, max_size=20)
task_supervisor.start()
"""

POLL_DELAY = START + "task_supervisor.poll_delay = 0.1 # set poll delay to 100ms\n"

RESIZE = START + "task_supervisor.set_thread_pool(pool_size=4, reserve_high=2, min_size='max')\n"

STOP = START + "task_supervisor.stop(wait=True, stop_schedulers=True, cancel_tasks=False)\n"

BLOCK = (
    START
    + """
import threading
threading.Timer(0.1, task_supervisor.stop).start()
task_supervisor.block()
"""
)

ALOOP = """
from neotasker import task_supervisor, background_worker
import threading

a = task_supervisor.create_aloop('myworkers', default=True, daemon=True)
# the loop is instantly started by default, to prevent add param start=False
# and then use
# task_supervisor.start_aloop('myworkers')
"""

WORKERS = """
@background_worker
async def by_default(**kwargs):
    print(threading.current_thread().name)
    return False

task_supervisor.create_aloop('other', start=False)
task_supervisor.start_aloop('other')

@background_worker(loop='myworkers')
async def elsewhere(**kwargs):
    print(threading.current_thread().name)
    return False

by_default.start()
elsewhere.start(_loop='other')
"""

COROUTINES = """
async def coro():
    return threading.current_thread().name

aloop = a
# put coroutine to loop
task = aloop.spawn_coroutine_threadsafe(coro())

# blocking wait for result from coroutine
result = aloop.run_coroutine_threadsafe(coro())
"""

OTHERS = """
# set default aloop
task_supervisor.set_default_aloop(a)
# get aloop by name
aloop = task_supervisor.get_aloop('myworkers')
# get aloop async event loop object for direct access
loop = aloop.get_loop()
# stop aloop (not required, supervisor stops all aloops at shutdown)
task_supervisor.stop_aloop('myworkers')
"""

CUSTOM = """
from neotasker import TaskSupervisor

# ID is used only for logging
my_supervisor = TaskSupervisor(id='my_supervisor')

class MyTaskSupervisor(TaskSupervisor):
   # .......
   pass

# if ID is not set, random UUID will be assigned
my_supervisor2 = MyTaskSupervisor()
"""

SPAWN = """
from neotasker import task_supervisor

future = task_supervisor.spawn(divmod, 7, 2)
direct = task_supervisor.thread_pool.submit(divmod, 9, 2)
"""

OTHER_POOL = """
from neotasker import task_supervisor
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os

if __name__ == '__main__':
    task_supervisor.thread_pool = ProcessPoolExecutor(1, mp_context=get_context('spawn'))
    pid = task_supervisor.spawn(os.getpid).result(30)
    task_supervisor.thread_pool.shutdown()
    print(pid != os.getpid())
"""

SCHEDULERS = """
from neotasker import task_supervisor
import asyncio

class Scheduler:

    def __init__(self, name):
        self.name, self.working = name, True

    async def loop(self):
        print(self.name, 'works')
        while self.working:
            await asyncio.sleep(0.001)

    def stop(self):
        print(self.name, 'stops')
        self.working = False

scheduler, sync_scheduler = Scheduler('first'), Scheduler('second')
task_supervisor.register_scheduler(scheduler)
task_supervisor.register_sync_scheduler(sync_scheduler)
"""


def test_importing_makes_the_default_supervisor_and_start_starts_it(run_sample):
    look = """
assert task_supervisor.active
assert task_supervisor.get_info()['pools']['threads']['size'] == 20
"""
    run_sample(START, look)


def test_the_pools_size_is_changed_while_it_works(run_sample):
    run_sample(RESIZE, "assert task_supervisor.get_info()['pools']['threads']['size'] == 4\n")


def test_the_poll_delay_can_be_set(run_sample):
    run_sample(POLL_DELAY, "assert task_supervisor.poll_delay == 0.1\n")


@pytest.mark.parametrize("sample", [STOP, BLOCK])
def test_it_stops_and_who_blocks_goes_on(run_sample, sample):
    run_sample(sample, "assert not task_supervisor.active\n")


def test_async_workers_run_in_the_aloop_that_is_default_or_named(run_sample):
    look = "until(lambda: by_default.is_stopped() and elsewhere.is_stopped())\n"
    lines = run_sample(ALOOP + WORKERS, look)
    assert sorted(lines) == ["supervisor_aloop_myworkers", "supervisor_aloop_other"]


def test_an_aloop_runs_coroutines(run_sample):
    run_sample(
        ALOOP + COROUTINES, "assert task.result() == result == 'supervisor_aloop_myworkers'\n"
    )


def test_aloops_by_name(run_sample):
    run_sample(ALOOP + OTHERS, "assert aloop is a and not loop.is_running()\n")


def test_supervisors_of_ones_own_have_an_id(run_sample):
    look = """
import uuid
assert my_supervisor.id == 'my_supervisor'
uuid.UUID(my_supervisor2.id)
assert my_supervisor2.spawn(divmod, 7, 2).result() == (3, 1)
assert not my_supervisor.active
"""
    run_sample(CUSTOM, look)


def test_spawn_is_the_pools_submit(run_sample):
    look = """
from concurrent.futures import Future
assert isinstance(future, Future) and isinstance(direct, Future)
assert (future.result(), direct.result()) == ((3, 1), (4, 1))
"""
    run_sample(SPAWN, look)


def test_another_executor_may_stand_in_for_the_pool(run_sample):
    assert run_sample(OTHER_POOL) == ["True"]


def test_schedulers_of_ones_own_run_and_are_stopped(run_sample):
    lines = run_sample(SCHEDULERS, "task_supervisor.stop()\n")
    assert sorted(lines) in (
        ["first stops", "first works", "second stops"],
        ["first stops", "second stops"],  # asked to stop before its loop had begun
    )


def test_a_scheduler_can_be_unregistered(run_sample):
    look = """
assert task_supervisor.unregister_scheduler(scheduler)
assert task_supervisor.unregister_sync_scheduler(sync_scheduler)
task_supervisor.stop()
"""
    assert run_sample(SCHEDULERS, look).count("first stops") == 1
