"""Outcomes as changes of rows, guarded by node, state and fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, json

from mainspring.model.job import CANCELLED, Outcome
from mainspring.stores.postgres.connections.direct import TOPICS
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.rules.keeping import keeping_of
from mainspring.stores.rules.outcomes import effect_of, is_on_record
from mainspring.stores.sql.states import KEPT, NUMBERS
from mainspring.stores.wake.topics import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.model.job import Failure, Grant
    from mainspring.stores.postgres.connections.statements import Rows, ServerMoment, Statements

# A rescue waits for it, a renewal does not.
LIVE = """
live AS MATERIALIZED (
  SELECT renewed_at + lease > {now} AS leased FROM nodes
  WHERE node = %(node)s AND ended_at IS NULL FOR KEY SHARE
)
"""

# Each row is found by its key: `+ 0` keeps out the index of what the node holds, which would be
# read once for each. BETWEEN, since the planner may turn an equality around: by the statistics of a
# time when the table was empty, it would look for each of all jobs among those that were told.
# A notification that goes with the commit loses nobody either: the lock is held until then, and who
# begins to wait has to share it, and then looks.
ENDING = """
ended AS (
  DELETE FROM jobs USING json_to_recordset(%(ending)s::json) AS told (
    told_key bigint, told_fence bigint, final int, charged int, crashed int, keep bigint,
    began bigint, ended bigint, result text, failure text
  )
  WHERE key BETWEEN told_key AND told_key AND fence = told_fence
    AND node + 0 = %(node)s AND state + 0 = 2 AND EXISTS (SELECT FROM live)
  RETURNING key, nonce, lane, final, priority, run_at, created_at, attempts + coalesce(charged, 1),
    crashes + coalesce(crashed, 0), fence, node, coalesce({now} + began, claimed_at), {now} + ended,
    result, failure, payload, unique_key, expires_at, {now} + ended + keep, options
), finishing AS (
  INSERT INTO finished (
    key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
    began_at, ended_at, result, failure, payload, unique_key, expires_at, keep_until,
    options
  )
  SELECT * FROM ended
), notified AS (
  SELECT pg_notify(%(channel)s, %(keys)s) WHERE CASE
    WHEN %(keys)s::text IS NULL THEN false
    ELSE NOT pg_try_advisory_xact_lock(%(locks)s::int, %(topic)s::int)
  END
)
"""

END = """
WITH {live}, {ending}
SELECT (SELECT count(*) FROM ended), (SELECT leased FROM live), (SELECT count(*) FROM notified)
""".replace("{live}", LIVE).replace("{ending}", ENDING)

# The rows are locked first: then nobody can mark one as to be cancelled before it waits again,
# where nobody would look at the mark. What is marked ends. Keys are given as arrays, as a plan by
# the statistics of an empty table would join with all jobs there are.
GIVE_BACK = """
WITH {live}, mine AS MATERIALIZED (
  SELECT job.*, word, charged, crashed, delay, failure,
    coalesce({now} + began, claimed_at) AS began_at, {now} + ended AS ended_at
  FROM json_to_recordset(%(returning)s::json) AS told (
    told_key bigint, told_fence bigint, word text, charged int, crashed int,
    delay bigint, began bigint, ended bigint, failure text
  )
  CROSS JOIN LATERAL (
    SELECT * FROM jobs
    WHERE key = told_key AND fence = told_fence AND node + 0 = %(node)s AND state + 0 = 2
    FOR UPDATE
  ) AS job
  WHERE EXISTS (SELECT FROM live)
), moved AS (
  DELETE FROM jobs WHERE key = ANY (ARRAY(SELECT key FROM mine WHERE cancel_asked))
), cancelled AS (
  INSERT INTO finished (
    key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
    began_at, ended_at, failure, payload, unique_key, expires_at, options
  )
  SELECT
    key, nonce, lane, 5, priority, run_at, created_at, attempts + charged, crashes + crashed,
    fence, node, began_at, ended_at, %(cancelled)s, payload, unique_key, expires_at, options
  FROM mine WHERE cancel_asked
), returned AS (
  UPDATE jobs SET
    state = CASE WHEN delay > 0 THEN 1 ELSE 0 END, node = NULL, claimed_at = NULL,
    run_at = coalesce({now} + delay, jobs.run_at),
    attempts = jobs.attempts + charged, crashes = jobs.crashes + crashed
  FROM mine
  WHERE jobs.key = mine.key
    AND jobs.key = ANY (ARRAY(SELECT key FROM mine WHERE NOT cancel_asked))
), noted AS (
  INSERT INTO attempts (key, fence, node, began_at, ended_at, outcome, failure)
  SELECT key, fence, node, began_at, ended_at, word, failure
  FROM mine WHERE NOT cancel_asked
)
SELECT (SELECT count(*) FROM mine), (SELECT leased FROM live)
""".replace("{live}", LIVE)

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


class OutcomeBatch(NamedTuple):
    """Outcomes, one for each claim, in order of key: those that end their jobs, and the others.

    With `notifies` the ends are notified in their transaction, to those who wait for some.
    """

    ending: list[Outcome]
    returning: list[Outcome]
    notifies: bool = False

    def ends(self, connection: Statements, moment: ServerMoment) -> dict[str, object]:
        """Return the parameters of `ENDING`."""
        keys = ",".join(str(one.key) for one in self.ending) if self.notifies else None
        return {
            "ending": ending_text(self.ending, moment),
            "channel": connection.channel(ENDED),
            "keys": keys,
            "locks": connection.locks,
            "topic": TOPICS[ENDED],
        }


def outcome_batch(outcomes: Sequence[Outcome], *, notifies: bool = False) -> OutcomeBatch:
    """Return outcomes as they are recorded: the first of each claim."""
    first: dict[Grant, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda one: one.key):
        first.setdefault((outcome.key, outcome.fence), outcome)
    batch = OutcomeBatch([], [], notifies)
    for outcome in first.values():
        ends = effect_of(outcome).final
        (batch.ending if ends else batch.returning).append(outcome)
    return batch


class OutcomesRecorded(NamedTuple):
    """The number of outcomes that were the node's and are on record; whether the node is live."""

    number: int
    is_live: bool


def record(
    connection: Statements, node: int, batch: OutcomeBatch, moment: ServerMoment
) -> OutcomesRecorded:
    """Record outcomes: those that end jobs in one statement, those that send them back in one."""
    common = {"node": node, "now": moment.micros}
    recorded = OutcomesRecorded(0, is_live=True)
    if batch.ending:
        asked = {**common, **batch.ends(connection, moment)}
        recorded = _recorded(connection.rows(END, asked))
    if batch.returning and recorded.is_live:
        text = returning_text(batch.returning, moment)
        asked = {**common, "returning": text, "cancelled": CANCELLED_TEXT}
        returned = _recorded(connection.rows(GIVE_BACK, asked))
        recorded = OutcomesRecorded(recorded.number + returned.number, returned.is_live)
    return recorded


def _recorded(rows: Rows) -> OutcomesRecorded:
    ((number, leased, *_),) = rows
    return OutcomesRecorded(number, leased is not None)


class EndingRow(Struct, frozen=True, gc=False, omit_defaults=True):
    """An outcome as `ENDING` takes it; times are relative to now.

    One text of JSON, since the driver takes 40 µs for each array.
    """

    told_key: int
    told_fence: int
    final: int
    ended: int
    began: int | None = None
    charged: int = 1
    crashed: int = 0
    keep: int | None = None
    result: str | None = None
    failure: str | None = None


def ending_text(outcomes: Iterable[Outcome], moment: ServerMoment) -> str:
    """Return outcomes that end their jobs, as `ENDING` takes them."""
    return json.encode([_ending_row(one, moment) for one in outcomes]).decode()


def _ending_row(outcome: Outcome, moment: ServerMoment) -> EndingRow:
    effect = effect_of(outcome)
    keep = keeping_of(outcome)
    return EndingRow(
        told_key=outcome.key,
        told_fence=outcome.fence,
        final=NUMBERS[effect.state] if keep is None else KEPT,
        ended=-moment.age(outcome.ended) if outcome.ended else 0,
        began=-moment.age(outcome.began) if outcome.began else None,
        charged=effect.charged,
        crashed=effect.crashed,
        keep=keep,
        result=None if outcome.result is None else outcome.result.decode(),
        failure=text_of_failure(outcome.failure),
    )


class ReturningRow(Struct, frozen=True, gc=False):
    """An outcome as `GIVE_BACK` takes it, in the same way."""

    told_key: int
    told_fence: int
    word: str
    charged: int
    crashed: int
    delay: int | None
    began: int | None
    ended: int
    failure: str | None


def returning_text(outcomes: Iterable[Outcome], moment: ServerMoment) -> str:
    """Return outcomes that send their jobs back, as `GIVE_BACK` takes them."""
    return json.encode([_returning_row(one, moment) for one in outcomes]).decode()


def _returning_row(outcome: Outcome, moment: ServerMoment) -> ReturningRow:
    effect = effect_of(outcome)
    keeps_place = effect.keeps_place and not outcome.delay
    return ReturningRow(
        told_key=outcome.key,
        told_fence=outcome.fence,
        word=outcome.kind,
        charged=effect.charged,
        crashed=effect.crashed,
        delay=None if keeps_place else micros(outcome.delay),
        began=-moment.age(outcome.began) if outcome.began else None,
        ended=-moment.age(outcome.ended) if outcome.ended else 0,
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
