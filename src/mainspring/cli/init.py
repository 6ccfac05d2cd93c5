"""The first process of a container: Linux gives it every orphan, and no default for signals.

So the command works in a child of it, and it reaps: only there can nobody else wait for a process.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from mainspring.supervision.stop_signals import SIGNALLED, STOP_SIGNALS

PASSED_ON = (*STOP_SIGNALS, signal.SIGUSR1, signal.SIGUSR2)


def is_init() -> bool:
    """Return whether this is the first process of a container, or of a machine."""
    return os.getpid() == 1


def run_below_init() -> int | None:
    """Fork: return None in the child, which works, and in the parent its exit code at its end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    worker = os.fork()
    if worker:
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: _pass_on(number, worker))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    return _reap_until_end_of(worker) if worker else None


def _pass_on(number: int, worker: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended, and so does this one
        os.kill(worker, number)


def _reap_until_end_of(worker: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else SIGNALLED - code
