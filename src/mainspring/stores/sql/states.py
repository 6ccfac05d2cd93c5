"""The numbers that stand for states in the rows, and what is seen of a row with any other.

Such a row was forged, or is of a newer version. If live, it is shown as pending: nobody claims it,
and it can be cancelled. If final, it is shown as failed, and can be retried or dropped, but no age
drops it. The failure of either says which number stands there.
"""

from __future__ import annotations

from typing import Any

from mainspring.model.job import Failure, JobState
from mainspring.model.record import Undecodable, type_name

READY = 0
SCHEDULED = 1
RUNNING = 2

KEPT = 6
"""Completed, with a keeping time of its own."""

NUMBERS = {JobState.COMPLETED: 3, JobState.FAILED: 4, JobState.CANCELLED: 5}
"""The number of each final state."""

FINAL_STATES = {number: state for state, number in NUMBERS.items()} | {KEPT: JobState.COMPLETED}
LIVE_STATES = {
    READY: JobState.PENDING,
    SCHEDULED: JobState.PENDING,
    RUNNING: JobState.RUNNING,
}


def live_state(number: Any) -> JobState:
    """Return what views call the state of a row of `jobs`."""
    return LIVE_STATES.get(number, JobState.PENDING)


def final_state(number: Any) -> JobState:
    """Return what views call the state of a row of `finished`."""
    return FINAL_STATES.get(number, JobState.FAILED)


def trouble_with(number: Any, *, final: bool) -> Failure | None:
    """Return what a view tells of a number that stands for no state in its table."""
    if number in (FINAL_STATES if final else LIVE_STATES):
        return None
    kind = "final" if final else "live"
    return Failure(type_name(Undecodable), f"the stored state {number} is no {kind} job's")
