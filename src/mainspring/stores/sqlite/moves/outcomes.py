"""What outcomes do to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, OUTCOME_STEP, TRANSITIONS, JobState, OutcomeKind
from mainspring.stores.clock import MICROS
from mainspring.stores.sqlite.moves.crashes import Crash, held_among, record_crashes
from mainspring.stores.sqlite.moves.endings import Ending, finish, keep, text_of_failure
from mainspring.stores.sqlite.moves.returns import Return, give_back
from mainspring.stores.sqlite.rows.states import KEPT, NUMBERS, READY, SCHEDULED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Grant, Outcome
    from mainspring.stores.clock import Moment

FINAL_KINDS = {
    kind: NUMBERS[state]
    for kind, step in OUTCOME_STEP.items()
    if (state := TRANSITIONS[JobState.RUNNING, step]) in FINAL
}
"""The final state's number for each outcome that ends a job."""

KEPT_KINDS = FINAL_KINDS | {OutcomeKind.COMPLETED: KEPT}
"""The same for an outcome that says how long to keep the job: only a completed one goes by it."""


def record(
    connection: sqlite3.Connection, node: int, outcomes: Sequence[Outcome], moment: Moment
) -> list[bool]:
    """Record a node's outcomes; return which were accepted. The first of two alike wins."""
    if not outcomes:
        return []
    told: dict[Grant, Outcome] = {}
    for outcome in outcomes:
        told.setdefault((outcome.key, outcome.fence), outcome)
    refused = record_each(connection, node, told, moment)
    if not refused and len(told) == len(outcomes):
        return [True] * len(outcomes)
    accepted = told.keys() - refused
    return [
        told.pop((one.key, one.fence), None) is one and (one.key, one.fence) in accepted
        for one in outcomes
    ]


def record_each(
    connection: sqlite3.Connection, node: int, told: dict[Grant, Outcome], moment: Moment
) -> set[Grant]:
    """Record one outcome for each grant; return the grants that were refused."""
    endings: list[Ending] = []
    keeping: list[tuple[int, int, int]] = []
    returns: list[Return] = []
    crashes: dict[Grant, Crash] = {}
    for grant, outcome in told.items():
        if outcome.kind in FINAL_KINDS:
            endings.append(ending_of(outcome, moment))
            if outcome.keep is not None:
                keeping.append((*grant, int(outcome.keep * MICROS)))
        elif outcome.kind is OutcomeKind.CRASHED:
            crashes[grant] = crash_of(outcome, moment)
        else:
            returns.append(return_of(outcome, moment))
    refused = finish(connection, node, endings) | give_back(connection, node, returns)
    keep(connection, node, keeping)
    return refused | record_held_crashes(connection, node, crashes, moment) if crashes else refused


def record_held_crashes(
    connection: sqlite3.Connection, node: int, crashes: dict[Grant, Crash], moment: Moment
) -> set[Grant]:
    """Record the crashes of what the node holds; return the grants that it does not hold."""
    held = {(job.key, job.fence): job for job in held_among(connection, node, crashes)}
    current = {job: crashes[grant] for grant, job in held.items()}
    record_crashes(connection, node, current, moment)
    return crashes.keys() - held.keys()


def ending_of(outcome: Outcome, moment: Moment) -> Ending:
    """Return the row of an outcome that ends its job."""
    return (
        outcome.key,
        outcome.fence,
        FINAL_KINDS[outcome.kind] if outcome.keep is None else KEPT_KINDS[outcome.kind],
        moment.at(outcome.began) if outcome.began else None,
        moment.at(outcome.ended) if outcome.ended else moment.micros,
        None if outcome.result is None else outcome.result.decode(),
        text_of_failure(outcome.failure),
    )


def return_of(outcome: Outcome, moment: Moment) -> Return:
    """Return the row of an outcome after which its job waits again."""
    keeps_place = outcome.kind is OutcomeKind.RELEASED
    return Return(
        key=outcome.key,
        fence=outcome.fence,
        outcome=outcome.kind,
        began_at=moment.at(outcome.began) if outcome.began else None,
        ended_at=moment.at(outcome.ended) if outcome.ended else moment.micros,
        failure=text_of_failure(outcome.failure),
        state=SCHEDULED if outcome.delay > 0 and not keeps_place else READY,
        run_at=None if keeps_place else moment.after(outcome.delay),
        charged=int(outcome.kind is OutcomeKind.RETRY),
    )


def crash_of(outcome: Outcome, moment: Moment) -> Crash:
    """Return the crash that an outcome tells of."""
    return Crash(
        evidence=str(outcome.failure or "its process died"),
        began_at=moment.at(outcome.began) if outcome.began else None,
        ended_at=moment.at(outcome.ended) if outcome.ended else moment.micros,
    )
