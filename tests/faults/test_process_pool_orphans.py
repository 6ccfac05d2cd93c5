"""No child outlives its parent by more than a second."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mainspring

SOURCE = str(Path(mainspring.__file__).parent.parent)

PARENT = """
import sys, time
from mainspring.processes import child as process_child, pool as process_pool

if sys.argv[1] == "fallback":
    process_pool.ChildPlan.__init__.__defaults__ = (False,)
pool = process_pool.ProcessPool(2)
pool.start()
while pool.status().ready < 3:
    time.sleep(0.005)
body = {"python": (time.sleep, 60), "c": (sum, range(10**12)), "idle": None}[sys.argv[2]]
if body:
    calls = [pool.submit(*body) for _ in range(2)]
    while pool.status().busy < 2:
        time.sleep(0.005)
time.sleep(0.1)
print(*[child.pid for child in pool._supervisor._children], flush=True)
time.sleep(60)
"""


def is_alive(pid):
    """Whether a process runs; one that is dead and not yet collected does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip()[:1] not in {"", "Z"}


def start(*words, script=PARENT):
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 3, parent.stderr.read()
    return parent, children


def gone_within(seconds, pids):
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.01)
    return []


@pytest.mark.parametrize("busy", ["idle", "python", "c"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_no_child_outlives_its_killed_parent(busy, number):
    if sys.platform != "linux" and busy == "c":
        pytest.skip("needs the kernel's help")
    parent, children = start("kernel", busy)
    with parent:
        os.kill(parent.pid, number)
        parent.wait(5)
        left = gone_within(1.0, children)
    assert left == []


@pytest.mark.parametrize("busy", ["idle", "python"])
def test_a_watcher_ends_children_where_the_kernel_does_not(busy):
    parent, children = start("fallback", busy)
    with parent:
        parent.kill()
        parent.wait(5)
        left = gone_within(1.0, children)
    assert left == []


PATIENT_PARENT = PARENT.replace("print(*", "try:\n  print(*").replace(
    "\ntime.sleep(60)\n",
    """
  time.sleep(60)
except KeyboardInterrupt:
  print(pool.status().deaths, pool.status().busy, flush=True)
  time.sleep(60)
""",
)


def test_ctrl_c_reaches_the_parent_and_no_child():
    parent, children = start("kernel", "python", script=PATIENT_PARENT)
    with parent:
        os.killpg(parent.pid, signal.SIGINT)
        said = parent.stdout.readline()
        parent.kill()
        parent.wait(5)
        left = gone_within(1.0, children)
    assert (said, left) == ("0 2\n", [])


STARTING = """
import sys, time
from mainspring.processes.pool import ProcessPool

pool = ProcessPool(2)
pool.start()
while len(pool._supervisor._children) < 3:
    time.sleep(0.0001)
print(*[child.pid for child in list(pool._supervisor._children)], flush=True)
time.sleep(60)
"""


def test_no_child_outlives_a_parent_killed_while_it_starts_them():
    for _ in range(5):
        parent, children = start(script=STARTING)
        with parent:
            parent.kill()
            parent.wait(5)
            left = gone_within(1.0, children)
        assert left == []
