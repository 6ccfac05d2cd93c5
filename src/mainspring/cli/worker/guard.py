"""Ends the process hard when its stop hangs, even in C code that never lets other threads run."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GUARD_SECONDS = 5.0
"""Seconds beyond the grace after which a process that still runs is ended."""

NO_THREAD_SECONDS = 0.5
"""Seconds later, when no thread of Python's could do it, the interpreter's own watchdog does."""


class HardEnd:
    """Ends the process `GUARD_SECONDS` after the time that its stop may take."""

    def __init__(self, say: Callable[[str], object], sentence: str) -> None:
        self._say = say
        self._sentence = sentence

    def within(self, seconds: float) -> None:
        """Give the stop so many seconds, counted from now."""
        limit = seconds + GUARD_SECONDS
        # First, since to start a thread takes turns with the others. It prints where each of them
        # is, and needs a real file for that.
        with suppress(AttributeError, OSError, ValueError):
            faulthandler.dump_traceback_later(
                limit + NO_THREAD_SECONDS, file=sys.__stderr__ or 2, exit=True
            )
        timer = threading.Timer(limit, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        self._say(self._sentence)
        os._exit(1)
