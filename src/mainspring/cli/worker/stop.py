"""The stop of a worker: announced to people, and enforced when it hangs, even in C code."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.model.events import ShutdownAsked

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.cli.worker.log_format import Printer
    from mainspring.model.events import Event

GUARD_SECONDS = 5.0
"""Seconds beyond the grace after which a process that still runs is ended."""

HUNG = "Worker did not stop in time; ending the process. Its jobs run elsewhere."

LONGEST_SECONDS = 1e9
"""Seconds, 30 years, that a guard waits at most: timers refuse more than 290 years."""

NO_THREAD_SECONDS = 0.5
"""Seconds later, when no thread of Python's could do it, the interpreter's own watchdog does."""


class ExitGuard:
    """Ends the process `GUARD_SECONDS` after the time that its stop may take."""

    def __init__(self, say: Callable[[str], object], sentence: str) -> None:
        self._say = say
        self._sentence = sentence

    def within(self, seconds: float) -> None:
        """Limit the stop to so many seconds, counted from now."""
        limit = min(seconds, LONGEST_SECONDS) + GUARD_SECONDS
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


class StopAnnouncer:
    """A subscriber that says that the worker stops, and sets the guard that ends it."""

    def __init__(self, grace: float, printer: Printer) -> None:
        self._grace = grace
        self._printer = printer
        self._end = ExitGuard(printer.say, HUNG)

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        if not isinstance(event, ShutdownAsked):
            return
        if event.at_once:
            self._end.within(0.0)
            self._printer.say("Stopping at once...")
        elif event.times == 1:
            self._end.within(self._grace)
            self._printer.say("Shutting down gracefully (waiting for in-flight jobs)...")
