"""The effect of an outcome on its job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.model.job import FINAL, OUTCOME_STEP, TRANSITIONS, JobState, OutcomeKind

if TYPE_CHECKING:
    from mainspring.model.job import Outcome


class Effect(Struct, frozen=True, gc=False):
    """The state after an outcome, the attempts and crashes that it counts, and the place in line.

    `keeps_place`: a job that waits again does so where it stood, unless the outcome has a delay.
    """

    state: JobState
    charged: int
    crashed: int = 0
    keeps_place: bool = False
    final: bool = False
    """True if the job has ended."""


UNCHARGED = {OutcomeKind.SNOOZED, OutcomeKind.RELEASED, OutcomeKind.CRASHED}
IN_PLACE = {OutcomeKind.RELEASED, OutcomeKind.CRASHED}

EFFECTS = {
    kind: Effect(
        state=TRANSITIONS[JobState.RUNNING, step],
        charged=int(kind not in UNCHARGED),
        crashed=int(kind is OutcomeKind.CRASHED),
        keeps_place=kind in IN_PLACE,
        final=TRANSITIONS[JobState.RUNNING, step] in FINAL,
    )
    for kind, step in OUTCOME_STEP.items()
}
"""The effect of each kind of outcome."""

CRASHED_OUT = Effect(state=JobState.FAILED, charged=0, crashed=1, final=True)
"""The effect of a last crash: the job fails, and no attempt is charged."""


def effect_of(outcome: Outcome) -> Effect:
    """Return the effect of an outcome."""
    return CRASHED_OUT if outcome.crashed else EFFECTS[outcome.kind]


def is_on_record(outcome: Outcome, recorded: str | None) -> bool:
    """Return whether an outcome was recorded before, and its answer may have been lost.

    `recorded` is the word in the history for the outcome's claim. What would have waited again has
    ended as cancelled, if it was asked to be cancelled.
    """
    if recorded == outcome.kind:
        return True
    return recorded == JobState.CANCELLED and not effect_of(outcome).final
