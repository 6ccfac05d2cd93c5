"""Resume points: positions in line before which no job waits, as the last claims have seen.

What was claimed leaves its entries in the index until the server has cleaned it, once a minute or
so. A claim that scans the line from its beginning steps over all of them: the longer a drain has
lasted, the dearer each claim. So a claim of many resumes where the last one began, and scans the
whole line only so often: a more urgent job that has come since waits that long at most, as it does
for the jobs that a worker has taken ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mainspring.clock import monotonic
from mainspring.stores.sql.lanes import LOWEST

if TYPE_CHECKING:
    from mainspring.model.job import Want

FULL_SCAN_SECONDS = 0.05
"""Seconds after which the whole line is scanned again: as far as the engine claims ahead."""

MANY_CLAIMS = 100
"""Claims that an answer brings at least for the next one to resume there."""


class ScanPosition(NamedTuple):
    """The position of a job in line, as its index orders it."""

    priority: int
    run_at: int
    key: int


BEGINNING = ScanPosition(LOWEST, LOWEST, LOWEST)
"""Before all jobs."""


class ResumePoint(NamedTuple):
    """A position before which nothing waited when the whole line was scanned, at `scanned_at`."""

    position: ScanPosition
    scanned_at: float


class ResumePoints:
    """The resume points of a process, by the tasks and queues that are asked for. Thread-safe."""

    def __init__(self) -> None:
        self._points: dict[tuple[object, object], ResumePoint] = {}

    def of(self, want: Want) -> ScanPosition:
        """Return where a claim may begin to scan."""
        point = self._points.get((want.tasks, want.queues))
        if point is None or monotonic() - point.scanned_at > FULL_SCAN_SECONDS:
            return BEGINNING
        return point.position

    def note(
        self, want: Want, scanned_from: ScanPosition, first: ScanPosition | None, claims: int
    ) -> None:
        """Note what a claim brought that began to scan at `scanned_from`: `first` and how many."""
        wanted = want.tasks, want.queues
        if first is None or claims < max(want.limit, MANY_CLAIMS):
            self._points.pop(wanted, None)
        elif scanned_from == BEGINNING:
            self._points[wanted] = ResumePoint(first, monotonic())
        elif (known := self._points.get(wanted)) is not None:
            self._points[wanted] = ResumePoint(first, known.scanned_at)
