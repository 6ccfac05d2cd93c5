"""A worker's stop, announced to people, and made sure of when it hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.worker.guard import HardEnd
from mainspring.model.events import ShutdownAsked

if TYPE_CHECKING:
    from mainspring.cli.worker.log_format import Printer
    from mainspring.model.events import Event

HUNG = "Worker did not stop in time; ending the process. Its jobs run elsewhere."


class StopAnnouncer:
    """A subscriber that says that the worker stops, and sets the guard that ends it."""

    def __init__(self, grace: float, printer: Printer) -> None:
        self._grace = grace
        self._voice = printer
        self._end = HardEnd(printer.say, HUNG)

    def __call__(self, event: Event) -> None:
        """Take notice of an event."""
        if not isinstance(event, ShutdownAsked):
            return
        if event.at_once:
            self._end.within(0.0)
            self._voice.say("Stopping at once...")
        elif event.times == 1:
            self._end.within(self._grace)
            self._voice.say("Shutting down gracefully (waiting for in-flight jobs)...")
