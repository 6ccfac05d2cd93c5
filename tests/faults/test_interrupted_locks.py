"""What a block around a named lock leaves behind that an exception has ended: no lock."""

import gc
import inspect
import threading
from contextlib import suppress
from itertools import count

import pytest

from interrupts import Interrupts, at_calls
from mainspring import Queue
from mainspring.queue.lock import NamedLock

PATIENCE = 5.0
EXIT = f"{inspect.getfile(NamedLock)}:{NamedLock.__exit__.__code__.co_firstlineno}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("asks", ["thread", "again"])
def test_a_block_that_is_interrupted_anywhere_gives_the_lock_back(asks):
    queue = Queue("memory://")
    lock, taken = queue.lock("one", wait=0.5), []

    def take():
        with queue.lock("one", wait=PATIENCE) as held:
            taken.append(held.fence)

    for moment in count():
        interrupts = Interrupts(moment)
        gc.disable()  # an exception in a finalizer goes nowhere
        try:
            with suppress(KeyboardInterrupt), at_calls(interrupts), lock:
                pass
        finally:
            gc.enable()
        if interrupts.place == EXIT:
            # Before its first step: Python itself calls no exit that has not begun.
            lock.__exit__(None, None, None)
        if asks == "thread":
            other = threading.Thread(target=take, daemon=True)
            other.start()
            other.join(2 * PATIENCE)
        else:
            take()
        assert len(taken) == moment + 1, f"interrupted at {moment}: {interrupts.place}"
        if not interrupts.fired:
            break
    assert taken == sorted(set(taken))
    queue.close()
