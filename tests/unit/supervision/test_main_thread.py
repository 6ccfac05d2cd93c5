"""What happens to a supervisor when the main thread ends; each in a process of its own."""

import subprocess
import sys

PROGRAM = """
import os, sys, threading, time
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

def work():
    time.sleep(0.1)

supervisor = Supervisor([Worker("w", work, Interval(60))])
supervisor.start()
"""


def run(more, before=""):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", before + PROGRAM + more],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_nobody_watches_for_the_end_of_the_main_thread():
    assert run("print(sorted(t.name for t in threading.enumerate()))") == (
        "['MainThread', 'supervisor', 'w']\n"
    )


def test_a_standard_executor_may_wait_for_a_supervisor_that_ends_with_the_main_thread():
    out = run("""
from concurrent.futures import ThreadPoolExecutor
def wait():
    print(supervisor.join(20))
ThreadPoolExecutor(1).submit(wait)
""")
    assert out == "True\n"


def test_a_supervisor_that_ended_before_is_left_alone():
    assert run("supervisor.stop()\nprint('stopped')") == "stopped\n"


def test_a_forked_child_does_not_end_what_its_parent_runs():
    out = run("""
child = os.fork()
if child == 0:
    # As multiprocessing does at a child's end.
    threading._shutdown()
    os._exit(0)
os.waitpid(child, 0)
answered = threading.Event()
supervisor.loop.call_soon_threadsafe(answered.set)
assert answered.wait(10)
print(supervisor.running, supervisor.closing, flush=True)
""")
    assert out == "True False\n"


def test_it_ends_by_the_public_name_too_where_the_private_one_is_missing():
    # The standard executors need the private name while they are imported.
    out = run(
        """
def tell(event):
    print(type(event).__name__, flush=True)
supervisor.subscribe(tell)
""",
        before="import concurrent.futures.thread, threading; del threading._register_atexit",
    )
    assert out == "ServiceStopped\n"
