"""The pipe between a worker process and the one that started it: its haste, and its death.

The parent writes a byte to end at once what runs; a stop with the grace is SIGTERM. The pipe's end
means that the parent has died, however it died.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.supervision.stop_signals import leave_haste_to_parent

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "MAINSPRING_PARENT_PIPE"
"""Names the descriptor that a worker process reads, and the inode of the pipe."""

ASK_SECONDS = 1.0


class ParentPipe:
    """The parent's side, one for each process that it starts."""

    def __init__(self) -> None:
        self.descriptor, self._held = os.pipe()
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._closed = False

    def environment(self) -> dict[str, str]:
        """Return what names the pipe to the process; pass it `descriptor`, too."""
        return {VARIABLE: f"{self.descriptor}:{os.fstat(self.descriptor).st_ino}"}

    def hurry(self) -> None:
        """Have the process end at once what it runs."""
        with self._lock, suppress(OSError):
            if not self._closed:
                os.write(self._held, b"!")

    def close(self) -> None:
        """Close both ends."""
        with self._lock:
            self._closed = True
            os.close(self.descriptor)
            os.close(self._held)


def watch_parent(stop: Callable[[], object], stop_now: Callable[[], object]) -> bool:
    """Call `stop` when the parent has died, `stop_now` when it says so; return whether it watches.

    It does in a process that was given such a pipe. There, no signal ends what runs at once.
    """
    # Variable and descriptor stay as they are, for a worker that starts its own process anew.
    descriptor = _pipe_named_by(os.environ.get(VARIABLE, ""))
    if descriptor is None:
        return False
    leave_haste_to_parent()
    threading.Thread(
        target=_watch, args=(descriptor, stop, stop_now), name="parent-watch", daemon=True
    ).start()
    return True


def _pipe_named_by(words: str) -> int | None:
    # The variable may have come to a process that was not given the pipe: a job's, for one.
    number, _, inode = words.partition(":")
    try:
        return int(number) if os.fstat(int(number)).st_ino == int(inode) else None
    except (OSError, ValueError):
        return None


def _watch(descriptor: int, stop: Callable[[], object], stop_now: Callable[[], object]) -> None:
    while os.read(descriptor, 1):
        stop_now()
    while True:  # asked before it has begun, a worker does not notice
        stop()
        time.sleep(ASK_SECONDS)
