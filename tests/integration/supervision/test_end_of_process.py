"""Supervisors and the process they live in: its import, its forks and its end."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from mainspring.supervision.stop_signals import TOGETHER

PROGRAM = """
import signal, sys, time
from mainspring import background_worker
from mainspring import task_supervisor

awaited = sys.argv[1:] and int(sys.argv[1])

@background_worker(interval=0.01)
def tick(**kwargs):
    global ticked
    # Not before the signal is heeded: until then it ends the process as it always does.
    while awaited and signal.getsignal(awaited) in (before, signal.SIG_IGN):
        time.sleep(0.001)
    if not ticked:
        print("ticking", flush=True)
    ticked = True
    time.sleep(0.2)
    print("run ended", flush=True)

ticked = False
before = awaited and signal.getsignal(awaited)
tick.start()
"""


def test_the_end_of_the_main_thread_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + "while not ticked: time.sleep(0.01)\n"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("run ended\n")
    assert done.stderr == ""


WAITING = """
import threading
from mainspring import background_task

task = background_task(print, delay=3600)()

def wait():
    try:
        task.future.result()
    except BaseException as error:
        print(type(error).__name__, flush=True)

threading.Thread(target=wait).start()
"""


def test_a_thread_that_waits_for_a_delayed_task_does_not_keep_the_process_from_ending():
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "CancelledError\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_what_blocks(number):
    program = PROGRAM + "task_supervisor.block()\nprint('after', task_supervisor.active)\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(int(number))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ticking\n"
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out.endswith("run ended\nafter False\n")
    assert err == ""


def test_a_second_signal_ends_the_stop_of_a_with_block():
    program = textwrap.dedent(
        """
        import os, signal, sys, time
        from mainspring import background_worker, task_supervisor

        @background_worker
        def stuck():
            print("stuck", flush=True)
            time.sleep(60)

        stuck.start()
        try:
            with task_supervisor:
                task_supervisor.block()
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "stuck\n"
        since = time.monotonic()
        for _ in range(2):
            time.sleep(TOGETHER + 0.1)  # sooner they would be one request
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=50)
    assert time.monotonic() - since < 15, err
    assert out == "interrupted\n", err


def test_importing_starts_no_thread_and_is_light():
    program = """
import sys, threading
import mainspring.background.workers.decorator, mainspring.background.supervisor.front
import mainspring.background.tasks.decorator, mainspring.background.tasks.collection
assert threading.active_count() == 1
heavy = {"multiprocessing", "cronsim", "msgspec", "concurrent.futures.thread"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


FORKING = """
import asyncio, os, threading, time
from mainspring import background_worker
from mainspring import wait_completed
from mainspring import TaskSupervisor

ran, slow = threading.Event(), threading.Event()
supervisor = TaskSupervisor("s", grace=3)
tick = background_worker(interval=0.01, supervisor=supervisor, name="tick")(ran.set)
tick.start()

async def note(item):
    await asyncio.sleep(0 if item else 0.2)
    return os.getpid()

supervisor.create_aloop("io")
mail = background_worker(queue=True, loop="io", supervisor=supervisor)(note)
mail.start()
first, second = mail.put_threadsafe(0), mail.put_threadsafe(1)
assert ran.wait(10)
child = os.fork()
if child == 0:
    assert not supervisor.active and not tick.is_active() and not mail.is_active()
    assert supervisor.get_info()["workers"] == []
    ran.clear()
    assert tick.start() and mail.start()
    assert ran.wait(10)
    assert mail.status().queued == 0, "what is queued is the parent's"
    assert mail.put_threadsafe(1).result(10) == os.getpid()
    assert supervisor.background_task(asyncio.sleep(0, 5)).result(10) == 5
    assert supervisor.spawn(os.getpid).result(10) == os.getpid()
    assert supervisor.stop(2)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert first.result(10) == second.result(10) == os.getpid()
assert supervisor.active and tick.is_active()
"""


def test_a_forked_child_begins_anew_and_leaves_its_parent_alone():
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING], check=True, timeout=30
    )


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_target_that_is_stuck_does_not_keep_the_process_from_ending(colour):
    program = f"""
import threading, time
from mainspring import background_worker
from mainspring import wait_completed
from mainspring import TaskSupervisor

stuck = threading.Event()

def hang():
    print("stuck", flush=True)
    stuck.set()
    time.sleep(100)

async def ahang():
    hang()

supervisor = TaskSupervisor("s", grace=0.2)
target = hang if "{colour}" == "sync" else ahang
background_worker(interval=1, supervisor=supervisor)(target).start()
background_worker(supervisor=supervisor, name="own thread")(lambda: time.sleep(100)).start()
assert stuck.wait(10)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True
    )
    assert done.stdout == "stuck\n"
