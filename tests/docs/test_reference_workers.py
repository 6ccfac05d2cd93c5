"""The code of the pages on workers of neotasker and atasker, its decorators restored.

The two pages show the same code but for the package's name; what only one has is said so.
"""

CONTINUOUS = """
# with annotation - function becomes worker target
from neotasker import background_worker

@background_worker
def myfunc(*args, **kwargs):
    print('I am background worker')

# with class
from neotasker import BackgroundWorker

class MyWorker(BackgroundWorker):

    def run(self, *args, **kwargs):
        print('I am a worker too')


myfunc.start()

myworker2 = MyWorker()
myworker2.start()

# ............

# stop first worker
myfunc.stop()
# stop 2nd worker, don't wait until it is really stopped
myworker2.stop(wait=False)
"""

OVERRIDING = """
import atasker

@atasker.background_worker
def myworker(_name, **kwargs):
    print(_name)

myworker.start(_name='worker1', _priority=atasker.TASK_LOW)
"""

ASYNC = """
# with annotation - function becomes worker target
from neotasker import background_worker

@background_worker
async def async_worker(**kwargs):
    print('I am async worker')

async_worker.start()

# with class
from neotasker import BackgroundAsyncWorker

class MyWorker(BackgroundAsyncWorker):

    async def run(self, *args, **kwargs):
        print('I am async worker too')

worker = MyWorker()
worker.start()
"""

QUEUE = """
import asyncio

# with annotation - function becomes worker target
from neotasker import background_worker

@background_worker(q=True)
def f(task, **kwargs):
    print('Got task from queue: {}'.format(task))

@background_worker(q=asyncio.queues.PriorityQueue)
def f2(task, **kwargs):
    print('Got task from queue too: {}'.format(task))

# with class
from neotasker import BackgroundQueueWorker

class MyWorker(BackgroundQueueWorker):

    def run(self, task, *args, **kwargs):
        print('my task is {}'.format(task))

f.start()
f2.start()
worker3 = MyWorker()
worker3.start()
f.put_threadsafe('task 1')
f2.put_threadsafe('task 2')
worker3.put_threadsafe('task 3')
"""

EVENT = """
# with annotation - function becomes worker target
from neotasker import background_worker

@background_worker(e=True)
def f(task, **kwargs):
    print('happened')

# with class
from neotasker import BackgroundEventWorker

class MyWorker(BackgroundEventWorker):

    def run(self, *args, **kwargs):
        print('happened too')

f.start()
worker3 = MyWorker()
worker3.start()
f.trigger_threadsafe()
worker3.trigger_threadsafe()
"""

INTERVAL = """
from neotasker import background_worker

@background_worker(interval=1)
def myfunc(**kwargs):
    print('I run every second!')

@background_worker(interval=1)
async def myfunc2(**kwargs):
    print('I run every second and I am async!')

myfunc.start()
myfunc2.start()
"""

OVERRIDDEN_PACE = """
from neotasker import background_worker

@background_worker(delay=3600)
def worker(**kwargs):
    print('I run')

worker.start(_interval=0.01)
"""

BY_HAND = """
from neotasker import background_worker

@background_worker(interval=3600)
def myfunc2(**kwargs):
    return 'done'

myfunc2.start()

def apifunc_trigger_worker_manually():
    # the next scheduled execution counts from now
    myfunc2.trigger_threadsafe(skip=True)
    return myfunc2.run()
"""

MYWORKER = """
from neotasker import BackgroundQueueWorker

class MyWorker(BackgroundQueueWorker):

    # executed in another process via task_supervisor
    @staticmethod
    def run(task, *args, **kwargs):
        # .. process task
        return '<task result>'

    def process_result(self, result):
        # process result
        print(result)
"""

IN_PROCESS = """
from neotasker import task_supervisor
task_supervisor.set_mp_pool(pool_size=1)
task_supervisor.start()

from myworker import MyWorker

worker = MyWorker()
worker.start()
# .....
result = worker.put_threadsafe('task')
# .....
result.result()
worker.stop()
"""


def test_continuous_workers_run_and_stop(run_sample):
    look = """
until(myworker2.is_stopped)
assert myfunc.is_stopped()
assert myfunc.name == 'myfunc' and MyWorker().name != MyWorker().name
"""
    lines = run_sample(CONTINUOUS, look)
    assert set(lines) <= {"I am background worker", "I am a worker too"}


def test_name_and_priority_can_be_overridden_at_the_start(run_sample):
    lines = run_sample(OVERRIDING, "until(lambda: myworker.status().runs)\nmyworker.stop()\n")
    assert set(lines) == {"worker1"}


def test_async_workers_run(run_sample):
    look = "until(lambda: async_worker.status().runs and worker.status().runs)\n"
    assert set(run_sample(ASYNC, look)) == {"I am async worker", "I am async worker too"}


def test_queue_workers_get_their_tasks(run_sample):
    look = "until(lambda: all(one.status().runs for one in (f, f2, worker3)))\n"
    assert sorted(run_sample(QUEUE, look)) == [
        "Got task from queue too: task 2",
        "Got task from queue: task 1",
        "my task is task 3",
    ]


def test_event_workers_run_when_triggered(run_sample):
    look = "until(lambda: f.status().runs and worker3.status().runs)\n"
    assert sorted(run_sample(EVENT, look)) == ["happened", "happened too"]


def test_interval_workers_run_every_second(run_sample):
    look = "until(lambda: myfunc.status().runs == 2 and myfunc2.status().runs == 2)\n"
    lines = run_sample(INTERVAL, "since = time.monotonic()\n" + look)
    assert lines.count("I run every second!") == 2
    assert lines.count("I run every second and I am async!") == 2


def test_the_pace_can_be_overridden_at_the_start(run_sample):
    assert len(run_sample(OVERRIDDEN_PACE, "until(lambda: worker.status().runs > 3)\n")) > 3


def test_a_target_can_be_run_by_hand_and_the_next_run_left_out(run_sample):
    look = """
until(lambda: myfunc2.status().runs == 1)
before = myfunc2.status().next_run
assert apifunc_trigger_worker_manually() == 'done'
until(lambda: myfunc2.status().next_run > before)
assert myfunc2.status().runs == 1
"""
    run_sample(BY_HAND, look)


def test_a_static_run_is_executed_in_another_process(run_sample):
    assert run_sample(IN_PROCESS, myworker=MYWORKER) == ["<task result>"]
