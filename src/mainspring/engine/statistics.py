"""Statistics of a node: counted in memory as batches of attempts end, written every few seconds.

Never a write a job: what was not written yet when a process is killed is missing in the
statistics, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.events import AttemptsEnded
from mainspring.model.statistics import WINDOW, Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.events import Event
    from mainspring.model.view import LaneRecord
    from mainspring.protocols import TimeSeries


class StatisticsWriter:
    """Counts what a node does, as a subscriber of its events, and writes it to the store.

    What one turn of `flush` takes away, the next one writes: whoever was counting then has done so
    by now, so that nobody waits for a lock on the way of a job.
    """

    def __init__(self, store: TimeSeries, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._counting = self._counted = _Window(clock())

    def note(self, event: Event) -> None:
        """Count the attempts that an event tells of; one thread at a time."""
        if type(event) is AttemptsEnded:
            self._counting.tallies.count(event.ended)

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
        if window.lanes is not None:
            window.tallies.sample(window.lanes)
        if window.tallies.lanes or window.tallies.samples:
            ago = max(0.0, self._clock() - window.began)
            self._store.add_entry(WINDOW, window.tallies.text(), ago=ago)


class _Window:
    """Numbers since a monotonic time, and the lanes as they were read meanwhile."""

    __slots__ = ("began", "lanes", "tallies")

    def __init__(self, began: float) -> None:
        self.began = began
        self.tallies = Tallies()
        self.lanes: Sequence[LaneRecord] | None = None
