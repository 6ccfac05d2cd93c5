"""Statistics of a node: counted in memory as batches of attempts end, written every few seconds.

Never a write a job: what was not written yet when a process is killed is missing in the
statistics, and nowhere else. Jobs that end because their workers died count where they are rescued.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.events import AttemptsEnded, NodeRescued, OrphansRescued
from mainspring.model.statistics import WINDOW, Tallies
from mainspring.telemetry.job_events import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.events import Event
    from mainspring.model.job import Rescued
    from mainspring.model.view import LaneRecord
    from mainspring.protocols import JobStore


class StatisticsWriter:
    """Counts what a node does, as a subscriber of its events, and writes it to the store.

    What one turn of `flush` takes away, the next one writes: whoever was counting then has done so
    by now, so that nobody waits for a lock on the way of a job.
    """

    def __init__(self, store: JobStore, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._rescued: deque[Rescued] = deque()
        self._counting = self._counted = _Window(clock())

    def note(self, event: Event) -> None:
        """Count the attempts that an event tells of; one thread at a time.

        Of rescued jobs the keys are kept, from any thread: `flush` looks them up.
        """
        if type(event) is AttemptsEnded:
            self._counting.tallies.count(event.ended)
        elif isinstance(event, (NodeRescued, OrphansRescued)) and event.jobs is not None:
            self._rescued.append(event.jobs)

    def sample(self, lanes: Sequence[LaneRecord]) -> None:
        """Note what waits, as it was just read; from any thread."""
        self._counting.lanes = lanes

    def flush(self) -> None:
        """Write what was taken away by the last call, and take away what was counted since."""
        counted, self._counted = self._counted, self._counting
        self._counting = _Window(self._clock())
        if counted is not self._counted:
            self._write(counted)

    def close(self) -> None:
        """Write all there is; when nobody counts any more."""
        self.flush()
        self.flush()

    def _write(self, window: _Window) -> None:
        while self._rescued:
            self._count_rescued(self._rescued.popleft(), window.tallies)
        if window.lanes is not None:
            window.tallies.sample(window.lanes)
        if window.tallies.lanes or window.tallies.samples:
            ago = max(0.0, self._clock() - window.began)
            self._store.add_entry(WINDOW, window.tallies.text(), ago=ago)

    def _count_rescued(self, rescued: Rescued, tallies: Tallies) -> None:
        for key in rescued.failed:
            if (job := record_of(self._store, key)) is not None:
                tallies.tally((job.queue, job.task)).failed += 1
        for key in rescued.cancelled:
            if (job := record_of(self._store, key)) is not None:
                tallies.tally((job.queue, job.task)).cancelled += 1


class _Window:
    """Numbers since a monotonic time, and the lanes as they were read meanwhile."""

    __slots__ = ("began", "lanes", "tallies")

    def __init__(self, began: float) -> None:
        self.began = began
        self.tallies = Tallies()
        self.lanes: Sequence[LaneRecord] | None = None
