"""When a job runs again after an error or a crash: pure rules."""

from __future__ import annotations

import random
from dataclasses import dataclass

CRASH_DELAYS = (0.0, 5.0)
"""Seconds until a job runs again after its first and second crash; a third fails it."""


def delay_after_crash(crashes: int) -> float | None:
    """Return the seconds until the job may run again, or None when it has crashed too often.

    `crashes` counts this one. The first redelivery is at once, the second waits 5 s; the third
    crash fails the job for good.
    """
    return CRASH_DELAYS[crashes - 1] if crashes <= len(CRASH_DELAYS) else None


@dataclass(frozen=True, slots=True)
class Exponential:
    """Backoff with full jitter: a random delay up to `base * factor ** (attempt - 1)`, capped.

    Seconds. Source of the rule: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0

    def delay(self, attempt: int, *, chance: float | None = None) -> float:
        """Return the delay after the failed attempt number `attempt` (from 1).

        `chance` in 0..1 stands in for the random number.
        """
        try:
            ceiling = min(self.cap, self.base * float(self.factor) ** (attempt - 1))
        except OverflowError:
            ceiling = self.cap
        return ceiling * (random.random() if chance is None else chance)
