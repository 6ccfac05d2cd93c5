"""Outcomes as changes of rows: one statement, guarded by node, state and fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.model.job import CANCELLED
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of, is_on_record
from mainspring.stores.sql.states import KEPT, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import psycopg

    from mainspring.model.job import Failure, Grant, Outcome
    from mainspring.stores.postgres.connections.statements import Rows, ServerMoment, Statements

# The rows are locked first, in order of their keys: then nobody can mark one as to be cancelled
# before it waits again, where nobody would look at the mark.
RECORD = """
WITH mine AS MATERIALIZED (
  SELECT jobs.*, word, charged, crashed, delay, keep, result,
    coalesce(began, claimed_at - {now}) AS began, ended,
    coalesce(final, CASE WHEN cancel_asked THEN 5 END) AS ends,
    CASE WHEN final IS NULL AND cancel_asked THEN %(cancelled)s ELSE failure END AS failure
  FROM unnest(
    %(keys)s::bigint[], %(fences)s::bigint[], %(finals)s::int[], %(words)s::text[],
    %(charged)s::int[], %(crashed)s::int[], %(delays)s::bigint[], %(keeps)s::bigint[],
    %(began)s::bigint[], %(ended)s::bigint[], %(results)s::text[], %(failures)s::text[]
  ) AS given (
    key, told_fence, final, word, charged, crashed, delay, keep, began, ended, result, failure
  )
  JOIN jobs USING (key)
  WHERE fence = told_fence AND node = %(node)s AND state = 2
    AND EXISTS (SELECT FROM nodes WHERE node = %(node)s AND ended_at IS NULL)
  FOR UPDATE OF jobs
), moved AS (
  DELETE FROM jobs USING mine WHERE jobs.key = mine.key AND ends IS NOT NULL
), ending AS (
  INSERT INTO finished (
    key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
    began_at, ended_at, result, failure, payload, unique_key, expires_at, keep_until
  )
  SELECT
    key, nonce, lane, ends, priority, run_at, created_at, attempts + charged, crashes + crashed,
    fence, node, {now} + began, {now} + ended, result, failure, payload, unique_key, expires_at,
    {now} + ended + keep
  FROM mine WHERE ends IS NOT NULL
), returned AS (
  UPDATE jobs SET
    state = CASE WHEN delay > 0 THEN 1 ELSE 0 END, node = NULL, claimed_at = NULL,
    run_at = coalesce({now} + delay, jobs.run_at),
    attempts = jobs.attempts + charged, crashes = jobs.crashes + crashed
  FROM mine WHERE jobs.key = mine.key AND ends IS NULL
), noted AS (
  INSERT INTO attempts (key, fence, node, began_at, ended_at, outcome, failure)
  SELECT key, fence, node, {now} + began, {now} + ended, word, failure
  FROM mine WHERE ends IS NULL
)
SELECT key, fence FROM mine
"""

RECORDED = """
SELECT key, fence, word FROM unnest(%(keys)s::bigint[], %(fences)s::bigint[]) AS given (key, fence)
JOIN (
  SELECT key, fence, outcome AS word FROM attempts WHERE node = %(node)s
  UNION ALL
  SELECT key, fence, CASE state WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' ELSE 'completed' END
  FROM finished WHERE node = %(node)s
) AS known USING (key, fence)
"""


def text_of_failure(failure: Failure | None) -> str | None:
    """Return a failure as JSON text."""
    return None if failure is None else json.encode(failure).decode()


CANCELLED_TEXT = text_of_failure(CANCELLED)


def by_grant(outcomes: Sequence[Outcome]) -> dict[Grant, Outcome]:
    """Return the first outcome of each claim, in order of key."""
    first: dict[Grant, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda one: one.key):
        first.setdefault((outcome.key, outcome.fence), outcome)
    return first


def record_each(
    connection: Statements, node: int, outcomes: Collection[Outcome], moment: ServerMoment
) -> psycopg.Cursor[tuple[Any, ...]] | None:
    """Record outcomes, one for each claim; the rows are the claims that were the node's."""
    if not outcomes:
        return None
    columns = zip(*[row_of(outcome, moment) for outcome in outcomes], strict=True)
    asked: dict[str, object] = dict(zip(COLUMNS, map(list, columns), strict=True))
    asked |= {"node": node, "now": moment.micros, "cancelled": CANCELLED_TEXT}
    return connection.execute(RECORD, asked)


COLUMNS = (
    "keys", "fences", "finals", "words", "charged", "crashed", "delays", "keeps", "began", "ended",
    "results", "failures",
)  # fmt: skip


def row_of(outcome: Outcome, moment: ServerMoment) -> tuple[object, ...]:
    """Return the values of `COLUMNS`; times are relative to now."""
    effect = effect_of(outcome)
    kept = keeping_of(outcome)
    final = NUMBERS[effect.state] if effect.final else None
    keeps_place = effect.keeps_place and not outcome.delay
    return (
        outcome.key,
        outcome.fence,
        final if kept is None else KEPT,
        outcome.kind,
        effect.charged,
        effect.crashed,
        None if effect.final or keeps_place else micros(outcome.delay),
        kept,
        -moment.age(outcome.began) if outcome.began else None,
        -moment.age(outcome.ended) if outcome.ended else 0,
        None if outcome.result is None else outcome.result.decode(),
        text_of_failure(outcome.failure),
    )


def accepted_of(outcomes: Sequence[Outcome], recorded: Rows, words: Rows | None) -> list[bool]:
    """Return for each outcome whether it is on record now; `words` is what was before."""
    taken = {id(one) for grant, one in by_grant(outcomes).items() if grant in set(recorded)}
    known = {(key, fence): word for key, fence, word in words or ()}
    return [
        id(one) in taken or is_on_record(one, known.get((one.key, one.fence))) for one in outcomes
    ]


def recorded_of(connection: Statements, node: int, outcomes: Sequence[Outcome]) -> Rows:
    """Return key, fence and word of the outcomes on record of a node's earlier claims."""
    asked = {"keys": [one.key for one in outcomes], "fences": [one.fence for one in outcomes]}
    return connection.rows(RECORDED, {**asked, "node": node})
