"""Counts of jobs, as views read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import JobState
from mainspring.model.view import LaneRecord
from mainspring.stores.clock import MICROS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.stores.memory.job import Job


def by_queue_and_state(jobs: Iterable[Job]) -> dict[str, dict[str, int]]:
    """Return the number of jobs by queue and state."""
    counts: dict[str, dict[str, int]] = {}
    for job in jobs:
        of_queue = counts.setdefault(job.queue, {state.value: 0 for state in JobState})
        of_queue[job.state.value] += 1
    return counts


def waiting_by_lane(jobs: Iterable[Job], now: int) -> list[LaneRecord]:
    """Return each task of each queue, with its jobs that wait; `now` is stored time."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for job in jobs:
        since = waiting.setdefault((job.queue, job.task), [])
        if job.state is JobState.PENDING:
            since.append(job.run_at)
    return [_lane_record(name, since, now) for name, since in sorted(waiting.items())]


def _lane_record(name: tuple[str, str], waiting: Sequence[int], now: int) -> LaneRecord:
    ready = [run_at for run_at in waiting if run_at <= now]
    oldest = (now - min(ready)) / MICROS if ready else None
    return LaneRecord(*name, len(waiting), len(waiting) - len(ready), oldest)
