"""A worker's stop, told to people, and made sure of when it hangs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from mainspring.model.events import ShutdownAsked

if TYPE_CHECKING:
    from mainspring.cli.worker.log_format import Voice
    from mainspring.model.events import Event

GUARD_SECONDS = 5.0
"""So long after the grace a worker that still hangs is ended hard."""


class Farewell:
    """Says that the worker stops, and sees to it that it does."""

    def __init__(self, grace: float, voice: Voice) -> None:
        self._grace = grace
        self._voice = voice

    def __call__(self, event: Event) -> None:
        """Take notice of an event."""
        if isinstance(event, ShutdownAsked):
            if event.times == 1:
                self._voice.say("Shutting down gracefully (waiting for in-flight jobs)...")
                self._guard(self._grace + GUARD_SECONDS)
            else:
                self._voice.say("Stopping at once...")
                self._guard(GUARD_SECONDS)

    def _guard(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        self._voice.say("Worker did not stop in time; ending the process. Its jobs run elsewhere.")
        os._exit(1)
