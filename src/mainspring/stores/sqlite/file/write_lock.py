"""A fair lock among the processes that write one database, taken within a bounded wait.

Two file locks: who wants to write passes the gate, and holds it until it has the pen. So a writer
that comes back at once finds the gate taken by the one who waits, and nobody is starved, as
happens with SQLite's own lock (its waiters sleep, and whoever comes back to back wins).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mainspring.clock import monotonic
from mainspring.private_files import PrivateFolder

FREE_SECONDS = 0.001
"""Seconds in which the last holder may take the pen again without passing the gate."""

NAP = 0.0001
LONG_NAP = 0.01
"""The nap of one who has waited for a second: somebody was stopped, and haste is of no use."""

LOCK_TABLE = Path("/proc/locks")
"""Linux tells there who holds a lock; a line ends in: pid, device:inode, start, end."""


class WriteLock:
    """The two locks, as seen by one process. One thread at a time may use it."""

    def __init__(self, folder: Path) -> None:
        with PrivateFolder(folder) as private:
            self._gate = private.open("gate.lock")
            try:
                self._pen = private.open("pen.lock")
            except BaseException:
                os.close(self._gate)
                raise
        self._free_until = 0.0
        self._place = str(folder / "pen.lock")

    def is_in_place(self) -> bool:
        """Return whether the files are still those that other processes lock."""
        try:
            return os.path.samestat(os.stat(self._place), os.fstat(self._pen))  # noqa: PTH116  # often
        except OSError:
            return False

    def acquire(self, timeout: float) -> bool:
        """Wait for the lock at most `timeout` seconds; False: it did not come."""
        now = monotonic()
        if now < self._free_until and try_lock(self._pen):
            return True
        self._free_until = now + FREE_SECONDS
        return self._pass_gate(now + timeout)

    def _pass_gate(self, deadline: float) -> bool:
        try:
            return lock_by(self._gate, deadline) and lock_by(self._pen, deadline)
        finally:
            # Also if it was not taken: an exception can come between its taking and any note of it.
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def release(self) -> None:
        """Release the lock."""
        fcntl.flock(self._pen, fcntl.LOCK_UN)

    def release_all(self) -> None:
        """Release all that this process holds, after an interrupt at any line."""
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        fcntl.flock(self._pen, fcntl.LOCK_UN)

    def holder(self) -> str:
        """Return who writes now, as far as the machine tells."""
        try:
            lines = [line.split() for line in LOCK_TABLE.read_text().splitlines()]
        except OSError:
            return "another process"
        for lock in (self._pen, self._gate):
            inode = os.fstat(lock).st_ino
            pids = [line[-4] for line in lines if line[-3].endswith(f":{inode}")]
            if pids:
                return f"process {pids[0]}{', which is stopped' if is_stopped(pids[0]) else ''}"
        return "another process"

    def close(self) -> None:
        """Close the files, and with them release the locks."""
        os.close(self._gate)
        os.close(self._pen)


def is_stopped(pid: str) -> bool:
    """Return whether a process was stopped, as by SIGSTOP, as far as the machine knows."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # After the name, which is in parentheses and may have some itself, comes the state.
    return status.rpartition(")")[2].split()[:1] in (["T"], ["t"])


def lock_by(descriptor: int, deadline: float) -> bool:
    """Acquire a file lock by `deadline` (monotonic).

    It is tried again and again, since a blocking flock can't be given up: a writer that was
    stopped while it holds the lock would hang everybody.
    """
    patient_after = monotonic() + 1.0
    while not try_lock(descriptor):
        now = monotonic()
        if now > deadline:
            return False
        # Naps that grow would be unfair: who has waited longest would look least often.
        time.sleep(NAP if now < patient_after else LONG_NAP)
    return True


def try_lock(descriptor: int) -> bool:
    """Acquire a file lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
