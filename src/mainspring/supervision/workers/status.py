"""The counts that a worker keeps of its runs, and the status that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mainspring.clock import monotonic, utc_now


@dataclass(slots=True)
class RunCounts:
    """The runs of a worker since its start."""

    runs: int = 0
    errors: int = 0
    restarts: int = 0
    failing: bool = False
    last_error: BaseException | None = None
    last_run: float | None = None  # monotonic()
    next_run: float | None = None  # monotonic()


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's state and the counts of its runs; times are aware UTC.

    `state` is one of `waiting` (not run yet), `running` (a run is under way), `idle`, `standby` (it
    may not run for now, and waits for what `waits_for` says), `stopped`, `failed` (it gave up by
    its restart policy, or lost its event loop; `error` says why). `queued`
    is the number of items that wait for a queue worker; `restarts` counts how often it went on
    after an error; `failing`: its last run raised; `hanging`: its run lasts far beyond its
    interval.
    """

    name: str
    kind: str
    state: str
    runs: int
    errors: int
    error: str | None
    last_run: datetime | None
    next_run: datetime | None
    queued: int | None = None
    restarts: int = 0
    failing: bool = False
    hanging: bool = False
    waits_for: str | None = None


def wall_time(moment: float | None) -> datetime | None:
    """Return a moment of `time.monotonic()` as aware UTC; None for one beyond the year 9999."""
    if moment is None:
        return None
    try:
        return utc_now() + timedelta(seconds=moment - monotonic())
    except OverflowError:  # as of a worker that runs every 1e12 seconds
        return None
