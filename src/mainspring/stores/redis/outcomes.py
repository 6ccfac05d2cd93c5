"""Outcomes as the scripts take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.json import encode

from mainspring.model.job import OutcomeKind
from mainspring.stores.clock import MICROS
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of

if TYPE_CHECKING:
    from mainspring.model.crash import CrashDecision
    from mainspring.model.job import Failure, Outcome
    from mainspring.stores.rules.rescue import HeldJob

COMPLETED = OutcomeKind.COMPLETED

Row = tuple[object, ...]
"""See lua/outcome.lua."""


def row_of(outcome: Outcome, monotonic: float) -> Row:
    """Return an outcome; `monotonic` is the clock's time now."""
    common = (
        str(outcome.key),
        outcome.fence,
        int((monotonic - outcome.began) * MICROS) if outcome.began else -1,
        int((monotonic - outcome.ended) * MICROS) if outcome.ended else 0,
        "" if outcome.result is None else outcome.result.decode(),
    )
    if outcome.kind is COMPLETED and outcome.keep is None and outcome.result:
        return common
    effect, keep = effect_of(outcome), keeping_of(outcome)
    keeps_place = effect.keeps_place and not outcome.delay
    return (
        *common,
        effect.state.value if effect.final else "",
        outcome.kind.value,
        effect.charged,
        effect.crashed,
        -1 if keeps_place else int(outcome.delay * MICROS),
        text_of(outcome.failure),
        -1 if keep is None else keep,
    )


def row_of_crash(job: HeldJob, decision: CrashDecision) -> Row:
    """Return the outcome of a job whose node was lost while its body ran."""
    return (
        str(job.key),
        job.fence,
        -1,
        0,
        "",
        "failed" if decision.delay is None else "",
        OutcomeKind.CRASHED.value,
        0,
        1,
        int(decision.delay * MICROS) if decision.delay else -1,
        text_of(decision.failure),
        -1,
    )


def text_of(failure: Failure | None) -> str:
    """Return the JSON text of a failure; nothing for none."""
    return "" if failure is None else encode(failure).decode()
