"""Samples of the numbers of jobs, taken while somebody looks: the past of the overview's charts.

They live in this process, and begin with the first look.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from threading import Lock

from mainspring.clock import monotonic
from mainspring.model.value import Value

WINDOW = 300.0
"""Seconds that are kept."""

GAP = 15.0
"""Seconds without a sample after which a line breaks: nobody has looked."""


class Sample(Value, frozen=True):
    """Numbers of one moment, `at` in monotonic seconds; `newest` is the newest job's key."""

    at: float
    waiting: int
    running: int
    newest: int | None


class Rate(Value, frozen=True):
    """Jobs per second between two samples, that came and that ended."""

    at: float
    enqueued: float
    ended: float


class Samples:
    """The samples of the last minutes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._samples: deque[Sample] = deque()

    def add(self, waiting: int, running: int, newest: int | None) -> None:
        """Add a sample of now."""
        now = monotonic()
        with self._lock:
            self._samples.append(Sample(now, waiting, running, newest))
            while self._samples[0].at < now - WINDOW:
                self._samples.popleft()

    def all(self) -> list[Sample]:
        """Return the samples, oldest first."""
        with self._lock:
            return list(self._samples)


def rates(samples: list[Sample]) -> list[Rate]:
    """Return what came and ended between samples.

    What has ended is what came and is not there any more: so a purge does not disturb it. A job
    that is retried by hand counts for nothing, and is left out by the floor at 0.
    """
    found = []
    for before, after in pairwise(samples):
        seconds = after.at - before.at
        if before.newest is None or after.newest is None or not 0 < seconds <= GAP:
            continue
        came = max(0, after.newest - before.newest)
        more = (after.waiting + after.running) - (before.waiting + before.running)
        found.append(Rate(after.at, came / seconds, max(0, came - more) / seconds))
    return found
