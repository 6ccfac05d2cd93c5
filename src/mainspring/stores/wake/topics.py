"""What a store rings for: `ready` (work to claim), `ended` (jobs that ended), `orders` (cancel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, OUTCOME_STEP, TRANSITIONS, JobState, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Outcome

READY = "ready"
ENDED = "ended"
ORDERS = "orders"

TOPICS_OF: dict[OutcomeKind, frozenset[str]] = {
    kind: frozenset({ENDED} if TRANSITIONS[JobState.RUNNING, step] in FINAL else {READY, ENDED})
    for kind, step in OUTCOME_STEP.items()
}
"""What would send a job back ends it, if it crashed too often or was asked to be cancelled."""


def topics_of(outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> frozenset[str]:
    """Return what to ring for when these outcomes have been recorded."""
    kinds = {one.kind for one, taken in zip(outcomes, accepted, strict=True) if taken}
    return frozenset().union(*(TOPICS_OF[kind] for kind in kinds))
