"""Outcomes as changes of rows: one statement, guarded by node, state and fence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import CANCELLED
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of, is_on_record
from mainspring.stores.sql.states import KEPT, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mainspring.model.job import Failure, Grant, Outcome
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

# A rescue waits for it, a renewal does not.
LIVE = """
live AS MATERIALIZED (
  SELECT renewed_at + lease > {now} AS leased FROM nodes
  WHERE node = %(node)s AND ended_at IS NULL FOR KEY SHARE
)
"""

# The rows are locked first, in order of their keys: then nobody can mark one as to be cancelled
# before it waits again, where nobody would look at the mark. Each is found by its key: `+ 0` keeps
# out the index of what the node holds, which would be read once for each. Keys are given as arrays:
# a plan that was made by the statistics of an empty table would join with all jobs there are.
RECORDING = """
mine AS MATERIALIZED (
  SELECT job.*, word, charged, crashed, delay, keep, result,
    coalesce(began, claimed_at - {now}) AS began, ended,
    coalesce(final, CASE WHEN cancel_asked THEN 5 END) AS ends,
    CASE WHEN final IS NULL AND cancel_asked THEN %(cancelled)s ELSE failure END AS failure
  FROM json_to_recordset(%(outcomes)s::json) AS given (
    told_key bigint, told_fence bigint, final int, word text, charged int, crashed int,
    delay bigint, keep bigint, began bigint, ended bigint, result text, failure text
  )
  CROSS JOIN LATERAL (
    SELECT * FROM jobs
    WHERE key = told_key AND fence = told_fence AND node + 0 = %(node)s AND state + 0 = 2
    FOR UPDATE
  ) AS job
  WHERE EXISTS (SELECT FROM live)
), moved AS (
  DELETE FROM jobs WHERE key = ANY (ARRAY(SELECT key FROM mine WHERE ends IS NOT NULL))
), ending AS (
  INSERT INTO finished (
    key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
    began_at, ended_at, result, failure, payload, unique_key, expires_at, keep_until,
    options
  )
  SELECT
    key, nonce, lane, ends, priority, run_at, created_at, attempts + charged, crashes + crashed,
    fence, node, {now} + began, {now} + ended, result, failure, payload, unique_key, expires_at,
    {now} + ended + keep, options
  FROM mine WHERE ends IS NOT NULL
), returned AS (
  UPDATE jobs SET
    state = CASE WHEN delay > 0 THEN 1 ELSE 0 END, node = NULL, claimed_at = NULL,
    run_at = coalesce({now} + delay, jobs.run_at),
    attempts = jobs.attempts + charged, crashes = jobs.crashes + crashed
  FROM mine
  WHERE jobs.key = mine.key AND jobs.key = ANY (ARRAY(SELECT key FROM mine WHERE ends IS NULL))
), noted AS (
  INSERT INTO attempts (key, fence, node, began_at, ended_at, outcome, failure)
  SELECT key, fence, node, {now} + began, {now} + ended, word, failure
  FROM mine WHERE ends IS NULL
)
"""

RECORD = """
WITH {live}, {recording}
SELECT (SELECT count(*) FROM mine), (SELECT leased FROM live)
""".replace("{live}", LIVE).replace("{recording}", RECORDING)

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
) -> int:
    """Record outcomes, one for each claim; return how many of these were the node's."""
    if not outcomes:
        return 0
    asked = asked_of(node, outcomes, moment)
    return int(connection.rows(RECORD, asked)[0][0])


def asked_of(node: int, outcomes: Collection[Outcome], moment: ServerMoment) -> dict[str, object]:
    """Return the parameters of `RECORDING`."""
    rows = [row_of(outcome, moment) for outcome in outcomes]
    asked = {"node": node, "now": moment.micros, "cancelled": CANCELLED_TEXT}
    return {**asked, "outcomes": json.encode(rows).decode()}


class OutcomeRow(Struct, frozen=True, gc=False, omit_defaults=True):
    """An outcome as its statement takes it; times are relative to now.

    One text of JSON, since the driver takes 40 µs for each array.
    """

    told_key: int
    told_fence: int
    word: str
    charged: int
    crashed: int
    ended: int
    final: int | None = None
    delay: int | None = None
    keep: int | None = None
    began: int | None = None
    result: str | None = None
    failure: str | None = None


def row_of(outcome: Outcome, moment: ServerMoment) -> OutcomeRow:
    """Return the row of an outcome."""
    effect = effect_of(outcome)
    kept = keeping_of(outcome)
    final = NUMBERS[effect.state] if effect.final else None
    keeps_place = effect.keeps_place and not outcome.delay
    return OutcomeRow(
        told_key=outcome.key,
        told_fence=outcome.fence,
        word=outcome.kind,
        charged=effect.charged,
        crashed=effect.crashed,
        ended=-moment.age(outcome.ended) if outcome.ended else 0,
        final=final if kept is None else KEPT,
        delay=None if effect.final or keeps_place else micros(outcome.delay),
        keep=kept,
        began=-moment.age(outcome.began) if outcome.began else None,
        result=None if outcome.result is None else outcome.result.decode(),
        failure=text_of_failure(outcome.failure),
    )


def accepted_of(
    connection: Statements, node: int, outcomes: Sequence[Outcome], recorded: int
) -> list[bool]:
    """Return for each outcome whether it is on record; `recorded` is how many just were."""
    if recorded == len(outcomes):
        return [True] * len(outcomes)
    asked = {"keys": [one.key for one in outcomes], "fences": [one.fence for one in outcomes]}
    rows = connection.rows(RECORDED, {**asked, "node": node})
    words = {(key, fence): word for key, fence, word in rows}
    return [is_on_record(one, words.get((one.key, one.fence))) for one in outcomes]
