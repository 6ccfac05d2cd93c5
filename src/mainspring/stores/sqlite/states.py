"""The numbers that stand for states in the rows."""

from __future__ import annotations

from mainspring.model.job import JobState

READY = 0
SCHEDULED = 1
RUNNING = 2

FINAL_STATES = {3: JobState.COMPLETED, 4: JobState.FAILED, 5: JobState.CANCELLED}
STATES = {
    READY: JobState.PENDING,
    SCHEDULED: JobState.PENDING,
    RUNNING: JobState.RUNNING,
    **FINAL_STATES,
}
"""What views call each number."""

NUMBERS = {state: number for number, state in FINAL_STATES.items()}
"""The number of each final state."""
