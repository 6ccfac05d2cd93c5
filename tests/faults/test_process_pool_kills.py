"""Children of a pool killed again and again."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from mainspring.errors import ChildDied
from mainspring.processes.pool import ProcessPool


def test_sixty_kills_in_a_row_leave_nothing_behind(until):
    threads, descriptors = set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))
    pool = ProcessPool(2)
    for _ in range(60):
        with pytest.raises(ChildDied, match="SIGKILL"):
            pool.call(signal.raise_signal, signal.SIGKILL)
    until(lambda: pool.status().ready == 3, 20)
    left = [child.pid for child in pool._supervisor._children]
    assert (pool.status().deaths, len(left)) == (60, 3)
    pool.close()
    assert pool.join()
    assert set(threading.enumerate()) <= threads
    assert len(list(Path("/dev/fd").iterdir())) <= descriptors
    for pid in left:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_every_call_ends_while_children_are_killed_at_random(until):
    with ProcessPool(2, grace=0) as pool:
        futures = [pool.submit(os.getpid) for _ in range(500)]
        for _ in range(40):
            pool.interrupt()
            time.sleep(0.02)
        until(lambda: all(future.done() for future in futures), 60)
        errors = [future.exception() for future in futures if future.exception()]
        assert all(isinstance(error, ChildDied) for error in errors)
        until(lambda: pool.status().ready == 3, 20)
