"""The numbers that stand for states in the rows."""

from __future__ import annotations

from mainspring.model.job import JobState

READY = 0
SCHEDULED = 1
RUNNING = 2

KEPT = 6
"""Completed, with a keeping time of its own."""

NUMBERS = {JobState.COMPLETED: 3, JobState.FAILED: 4, JobState.CANCELLED: 5}
"""The number of each final state."""

FINAL_STATES = {number: state for state, number in NUMBERS.items()} | {KEPT: JobState.COMPLETED}
STATES = {
    READY: JobState.PENDING,
    SCHEDULED: JobState.PENDING,
    RUNNING: JobState.RUNNING,
    **FINAL_STATES,
}
"""What views call each number."""
