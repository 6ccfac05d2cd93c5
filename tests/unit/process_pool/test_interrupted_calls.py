"""Calls that an exception ends, wherever a signal can bring it, cost the pool no child."""

import gc
import operator
from contextlib import suppress
from itertools import count

from interrupts import Interrupts, at_calls
from mainspring.processes.pool import ProcessPool


def test_a_call_that_is_interrupted_costs_no_child():
    with ProcessPool(1, spare=0) as pool:
        assert pool.call(operator.neg, 0, timeout=20) == 0
        for moment in count():
            interrupts = Interrupts(moment)
            gc.disable()  # an exception in a finalizer goes nowhere
            try:
                with suppress(KeyboardInterrupt), at_calls(interrupts):
                    pool.call(operator.neg, moment)
            finally:
                gc.enable()
            where = f"at call {moment}: {interrupts.place}"
            assert pool.submit(operator.neg, moment).result(5) == -moment, where
            assert pool.status().busy == 0, where
            if not interrupts.fired:
                break
