"""The direct connection to PostgreSQL: one thread, however many want it at once."""

import sys
import threading
from types import SimpleNamespace

import pytest

from mainspring.errors import StoreUnreachable
from mainspring.stores.postgres.connections.direct import DirectConnection

CALLERS = 8
ROUNDS = 30


@pytest.fixture
def switching():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def unreachable(_conninfo):
    raise StoreUnreachable("a server", "it is not there", "start it")


@pytest.mark.usefixtures("switching", "no_thread_left")
def test_callers_that_wake_it_at_once_start_one_thread():
    address = SimpleNamespace(listen_conninfo="", channel=str)
    for _ in range(ROUNDS):
        direct = DirectConnection(address, unreachable)
        barrier = threading.Barrier(CALLERS)

        def let_go(lock, direct=direct, barrier=barrier):
            direct._locks.add(lock)
            barrier.wait()
            direct.let_go(lock)

        callers = [threading.Thread(target=let_go, args=(lock,)) for lock in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        running = [one for one in threading.enumerate() if one.name == "mainspring-listener"]
        direct.close()
        assert len(running) == 1
