"""Keeping: the time after which a final job may be dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, JobState
from mainspring.stores.clock import MICROS
from mainspring.stores.rules.outcomes import effect_of

if TYPE_CHECKING:
    from mainspring.model.job import Outcome


def keeping_of(outcome: Outcome) -> int | None:
    """Return the stored time for which an outcome has its job kept; None: as long as others.

    Only a completed job has a keeping time of its own.
    """
    if outcome.keep is None or effect_of(outcome).state is not JobState.COMPLETED:
        return None
    return int(outcome.keep * MICROS)


def ages(*, completed_after: float, failed_after: float) -> dict[JobState, float]:
    """Return the age in seconds at which jobs of each final state are dropped.

    Cancelled jobs are kept as long as completed ones.
    """
    return {
        state: failed_after if state is JobState.FAILED else completed_after
        for state in sorted(FINAL)
    }
