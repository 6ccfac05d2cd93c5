"""The end of a consumer's work, step by step. Knows nothing of claims or slots."""

from __future__ import annotations

import math
from enum import Enum

from mainspring.clock import monotonic

STUBBORN_SECONDS = 2.0
"""Seconds after the grace in which a body may ignore its cancellation before it is disowned."""


class DrainStep(Enum):
    """The next thing to do with bodies that still run."""

    WAIT = "wait"
    INTERRUPT = "interrupt"
    DISOWN = "disown"


class Drain:
    """Waits for bodies, then interrupts them, then disowns those that go on. Thread-safe."""

    def __init__(self) -> None:
        self.asked = False
        self._deadline = math.inf
        self._interrupted = False

    def ask(self, grace: float) -> None:
        """Begin, or shorten the grace (seconds)."""
        if not self._interrupted:
            self._deadline = min(self._deadline, monotonic() + grace)
        self.asked = True

    def due_in(self, now: float) -> float:
        """Return the seconds until the next step."""
        return self._deadline - now

    def step(self, now: float) -> DrainStep:
        """Return the step that is due; each but waiting comes once."""
        if now < self._deadline:
            return DrainStep.WAIT
        if self._interrupted:
            self._deadline = math.inf
            return DrainStep.DISOWN
        self._interrupted = True
        self._deadline = now + STUBBORN_SECONDS
        return DrainStep.INTERRUPT
