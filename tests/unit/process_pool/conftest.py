import sys
import threading
from pathlib import Path

import pytest

from mainspring.processes.pool import ProcessPool

# Children find `pool_bodies` by the path they inherit.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def make_pool():
    pools = []

    def make(size=1, **options):
        pools.append(ProcessPool(size, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(0)
        assert pool.join()


@pytest.fixture
def pool(make_pool):
    return make_pool()


def open_descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def own_threads():
    return {thread for thread in threading.enumerate() if thread is not threading.main_thread()}


@pytest.fixture
def no_leaks(until):
    """Descriptors and threads are as many afterwards as before."""
    threads, descriptors = own_threads(), open_descriptors()
    yield
    until(lambda: own_threads() <= threads)
    until(lambda: open_descriptors() <= descriptors)
