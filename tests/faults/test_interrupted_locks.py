"""What a block around a named lock leaves behind that an exception has ended: no lock."""

import gc
import inspect
import threading
from contextlib import suppress
from itertools import count

import pytest

from interrupts import Interrupts, at_calls
from mainspring import Locker, Queue
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


@pytest.mark.parametrize("use", ["block", "function"])
def test_a_locker_that_is_interrupted_at_any_call_is_free_for_others(use):
    locker, taken = Locker(timeout=PATIENCE), []

    @locker
    def step():
        taken.append(threading.get_ident())

    def block():
        with locker:
            taken.append(None)

    for moment in count():
        interrupts = Interrupts(moment)
        gc.disable()  # an exception in a finalizer goes nowhere
        with suppress(KeyboardInterrupt), at_calls(interrupts):
            step() if use == "function" else block()
        gc.enable()
        if interrupts.place.endswith(f":{Locker.__exit__.__code__.co_firstlineno}"):
            locker.__exit__()  # Python itself calls no exit that has not begun
        other = threading.Thread(target=step, daemon=True)
        other.start()
        other.join(PATIENCE)
        assert taken[-1] == other.ident, f"interrupted at {moment}: {interrupts.place}"
        if not interrupts.fired:
            break
    assert moment > 3
