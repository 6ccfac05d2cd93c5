"""Outcomes as changes of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.clock import MICROS
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of, is_on_record
from mainspring.stores.sql.states import KEPT, NUMBERS, READY, SCHEDULED
from mainspring.stores.sqlite.transitions.endings import Ending, finish, keep, text_of_failure
from mainspring.stores.sqlite.transitions.grants import recorded_of
from mainspring.stores.sqlite.transitions.returns import Return, give_back

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Grant, Outcome
    from mainspring.stores.clock import Moment
    from mainspring.stores.rules.outcomes import Effect


def record(
    connection: sqlite3.Connection, node: int, outcomes: Sequence[Outcome], moment: Moment
) -> list[bool]:
    """Record a node's outcomes; return which are on record now. The first of a claim's wins."""
    if not outcomes:
        return []
    by_grant = {(outcome.key, outcome.fence): outcome for outcome in reversed(outcomes)}
    refused = record_each(connection, node, by_grant, moment)
    if not refused and len(by_grant) == len(outcomes):
        return [True] * len(outcomes)
    accepted = {id(by_grant[grant]) for grant in by_grant.keys() - refused}
    words = recorded_of(connection, node, by_grant)
    return [
        id(one) in accepted or is_on_record(one, words.get((one.key, one.fence)))
        for one in outcomes
    ]


def record_each(
    connection: sqlite3.Connection, node: int, by_grant: dict[Grant, Outcome], moment: Moment
) -> set[Grant]:
    """Record one outcome for each grant; return the grants that were refused."""
    endings: list[Ending] = []
    crashes: list[Ending] = []
    keeping: list[tuple[int, int, int]] = []
    returns: list[Return] = []
    micros, shift = moment.micros, moment.shift
    for grant, outcome in by_grant.items():
        effect = effect_of(outcome)
        if not effect.final:
            returns.append(return_of(outcome, effect, moment))
            continue
        kept = None if outcome.keep is None else keeping_of(outcome)
        if kept is not None:
            keeping.append((*grant, kept))
        began, ended, result, failure = (
            outcome.began,
            outcome.ended,
            outcome.result,
            outcome.failure,
        )
        ending = (
            outcome.key,
            outcome.fence,
            NUMBERS[effect.state] if kept is None else KEPT,
            # As `moment.at`, spelled out: each job passes here.
            shift + int(began * MICROS) if began else None,
            shift + int(ended * MICROS) if ended else micros,
            None if result is None else result.decode(),
            None if failure is None else text_of_failure(failure),
        )
        (crashes if effect.crashed else endings).append(ending)
    refused = finish(connection, node, endings) | give_back(connection, node, returns)
    keep(connection, node, keeping)
    return refused | finish(connection, node, crashes, charged=0, crashed=1)


def return_of(outcome: Outcome, effect: Effect, moment: Moment) -> Return:
    """Return the row of an outcome after which its job waits again."""
    keeps_place = effect.keeps_place and not outcome.delay
    return Return(
        key=outcome.key,
        fence=outcome.fence,
        outcome=outcome.kind,
        began_at=moment.at(outcome.began) if outcome.began else None,
        ended_at=moment.at(outcome.ended) if outcome.ended else moment.micros,
        failure=text_of_failure(outcome.failure),
        state=SCHEDULED if outcome.delay > 0 else READY,
        run_at=None if keeps_place else moment.after(outcome.delay),
        charged=effect.charged,
        crashed=effect.crashed,
    )
