"""What a worker's threads need is loaded before they start.

A Ctrl-C in an import that waits for another thread's can leave the interpreter's own lock of
imports taken: then whoever imports anything waits for ever.
"""

import subprocess
import sys

PROGRAM = """
import sys
from mainspring import Queue
from mainspring.engine import consumer
from mainspring.supervision.supervisor.supervisor import Supervisor

def start(supervisor, start=Supervisor.start):
    loaded.append(set(sys.modules))
    start(supervisor)

loaded, Supervisor.start = [], start
queue = Queue(sys.argv[1], workers=2, durability="normal")

@queue.task(name="same")
def same(value):
    return value

@queue.task(name="other")
async def other(value):
    return value

with queue.worker():
    for task in (same, other, same, other):
        task.delay(1).result(timeout=20)
        [job.result(timeout=20) for job in task.map([(1,), (2,)])]
    same.using(delay=3600).delay(1).cancel()
print(sorted(name for name in set(sys.modules) - loaded[0] if name.startswith("mainspring.")))
"""


def test_a_worker_at_work_and_who_enqueues_beside_it_load_nothing(tmp_path, url):
    command = [sys.executable, "-c", PROGRAM, url]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.returncode) == ("[]\n", 0), ran.stderr
