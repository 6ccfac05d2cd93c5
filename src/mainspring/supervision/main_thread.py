"""Notices that the main thread has ended, while threads can still be started and joined.

After the main thread's end Python waits for this thread, which is no daemon; daemons are all that
run users' code. Standard executors refuse work by then.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mainspring.supervision.sleeper import ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK = 0.25
"""Seconds between two looks."""


class MainThreadWatch:
    """Calls `ended` once, in a thread of its own, when the main thread has ended."""

    def __init__(self, ended: Callable[[], object], *, name: str) -> None:
        self._call = ended
        self._closed = False
        self._sleeper = ThreadSleeper()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=False)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def release(self) -> None:
        """Watch no more; the thread ends soon."""
        self._closed = True
        self._sleeper.wake()

    def close(self) -> None:
        """Watch no more; the thread has ended when this returns, unless it is the caller."""
        self.release()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        main = threading.main_thread()
        while not self._closed and main.is_alive():
            self._sleeper.sleep(LOOK)
        if not self._closed:
            self._call()
