"""The exchange: outcomes and claims, mostly in one statement, so in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mainspring.model.crash import is_suspect
from mainspring.model.job import Claim, Exchanged
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id
from mainspring.stores.postgres.connections.trouble import UNDONE
from mainspring.stores.postgres.nodes import lease_lost
from mainspring.stores.postgres.outcomes import (
    ENDING,
    LIVE,
    accepted_of,
    outcome_batch,
    record,
)
from mainspring.stores.postgres.resume_points import BEGINNING, ResumePoints, ScanPosition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.model.job import Outcome, Want
    from mainspring.stores.postgres.connections.statements import Rows, ServerMoment, Statements
    from mainspring.stores.sql.lanes import KnownLanes

# Delayed jobs that are due are made ready first, by a statement of its own: until then nothing is
# claimed, since they may come before all others.
ASKED = """
served AS MATERIALIZED (
  SELECT lane FROM lanes
  WHERE md5(task) = ANY (SELECT md5(name) FROM unnest(%(tasks)s::text[]) AS name)
    AND task = ANY (%(tasks)s::text[])
    AND (%(queues)s::text[] IS NULL OR queue = ANY (%(queues)s::text[]))
    AND NOT EXISTS (SELECT FROM paused WHERE paused.queue = lanes.queue)
    AND EXISTS (SELECT FROM live WHERE leased)
), due AS MATERIALIZED (
  SELECT min(run_at) - {now} AS micros FROM served CROSS JOIN LATERAL (
    SELECT run_at FROM jobs WHERE state = 1 AND lane = served.lane ORDER BY run_at LIMIT 1
  ) AS late
), asked AS MATERIALIZED (
  SELECT lane FROM served WHERE NOT EXISTS (SELECT FROM due WHERE micros <= 0)
)
"""

PROMOTE = """
WITH {live}, {asked}, late AS (
  SELECT first.key FROM served CROSS JOIN LATERAL (
    SELECT key FROM jobs WHERE state = 1 AND lane = served.lane AND run_at <= {now}
    ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) AS first
)
UPDATE jobs SET state = 0 WHERE key = ANY (ARRAY(SELECT key FROM late))
""".replace("{live}", LIVE).replace("{asked}", ASKED)

# Of each lane so many of the first jobs are locked as are due to it, and what others have locked is
# passed over: who claims at the same time takes the next ones. How many are due to a lane is seen
# by a look that locks nothing, since jobs that are locked for nothing are kept from others; of a
# lane alone it is all. Rows are found by their place in the table.
CLAIMING = """
shares AS MATERIALIZED (
  SELECT lane, %(limit)s::bigint AS share FROM asked WHERE (SELECT count(*) FROM asked) = 1
  UNION ALL (
    SELECT lane, count(*) FROM (
      SELECT lane FROM asked CROSS JOIN LATERAL (
        SELECT priority, run_at, key FROM jobs
        WHERE state = 0 AND lane = asked.lane AND crashes < 2
          AND (priority, run_at, key) >= (%(priority)s, %(run_at)s, %(key)s)
        ORDER BY priority, run_at, key LIMIT %(limit)s
      ) AS line
      WHERE (SELECT count(*) FROM asked) > 1
      ORDER BY priority, run_at, key LIMIT %(limit)s
    ) AS first
    GROUP BY lane
  )
), locked AS MATERIALIZED (
  SELECT line.* FROM shares CROSS JOIN LATERAL (
    SELECT ctid AS place, priority, run_at, key FROM jobs
    WHERE state = 0 AND lane = shares.lane AND crashes < 2
      AND (priority, run_at, key) >= (%(priority)s, %(run_at)s, %(key)s)
    ORDER BY priority, run_at, key LIMIT shares.share FOR UPDATE SKIP LOCKED
  ) AS line
  UNION ALL (
    SELECT line.* FROM asked CROSS JOIN LATERAL (
      SELECT ctid AS place, priority, run_at, key FROM jobs
      WHERE state = 0 AND lane = asked.lane AND crashes >= 2
      ORDER BY priority, run_at, key LIMIT least(%(suspects)s, %(limit)s) FOR UPDATE SKIP LOCKED
    ) AS line
    ORDER BY priority, run_at, key LIMIT %(suspects)s
  )
), free AS MATERIALIZED (
  SELECT place FROM locked ORDER BY priority, run_at, key LIMIT %(limit)s
), taken AS (
  UPDATE jobs SET state = 2, node = %(node)s, claimed_at = {now}, fence = jobs.fence + 1
  WHERE ctid = ANY (ARRAY(SELECT place FROM free))
  RETURNING key, nonce, fence, lane, payload, attempts + 1 AS attempt, crashes,
    expires_at <= {now} AS expired, options, priority, run_at
), seen AS (
  SELECT FROM asked CROSS JOIN LATERAL (
    SELECT FROM jobs WHERE state = 0 AND lane = asked.lane AND crashes < 2 LIMIT %(limit)s
  ) AS ready
  LIMIT %(limit)s
)
"""

ANSWER = """
SELECT {recorded}, (SELECT leased FROM live), (SELECT micros FROM due),
  CASE WHEN (SELECT count(*) FROM free) < %(limit)s THEN (SELECT count(*) FROM seen) ELSE 0 END,
  {now}, NULL::bigint AS key, NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text,
  NULL::integer, NULL::integer, NULL::boolean, NULL::text, NULL::bigint AS priority,
  NULL::bigint AS run_at
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, key, nonce, fence, task, queue, payload, attempt,
  crashes, expired, options, priority, run_at
FROM taken JOIN lanes USING (lane)
ORDER BY priority NULLS FIRST, run_at, key
"""

CLAIM = ", ".join(("WITH " + LIVE, ASKED, CLAIMING)) + ANSWER.replace("{recorded}", "0, 0")
END_AND_CLAIM = ", ".join(("WITH " + LIVE, ENDING, ASKED, CLAIMING)) + ANSWER.replace(
    "{recorded}", "(SELECT count(*) FROM ended), (SELECT count(*) FROM notified)"
)
"""One statement for what is most frequent."""

HELD = """
SELECT {now}, key, nonce, fence, task, queue, payload, attempts + 1, crashes,
  expires_at <= {now}, options, priority, run_at
FROM jobs JOIN lanes USING (lane)
WHERE node = %(node)s AND state = 2
ORDER BY priority, run_at, key
"""

IS_LIVE = "SELECT FROM nodes WHERE node = %(node)s AND ended_at IS NULL"

AGAIN_SECONDS = 0.05
"""Seconds after which jobs are looked at again that others had locked, and may give back."""


MOST_PROMOTIONS = 20
"""Times that one claim makes 1,000 delayed jobs of a lane ready before it is content."""


def exchange(  # noqa: PLR0913  # the verb's signature
    connection: Statements,
    node: int,
    outcomes: Sequence[Outcome],
    wants: Sequence[Want],
    *,
    moment: ServerMoment,
    lanes: KnownLanes | None = None,  # noqa: ARG001  # the server knows them
    resume_points: ResumePoints | None = None,
    notifies: bool = False,
) -> Exchanged:
    """Record outcomes and claim work, each statement a transaction of its own.

    Claims begin where `resume_points` says. With `notifies`, who waits for a job that ends is
    notified with its commit.
    """
    resume_points = resume_points or ResumePoints()
    given = outcome_batch(outcomes, notifies=notifies)
    # Work that it gives back itself it can't claim in the same statement: that goes before.
    together = bool(wants and given.ending)
    before = given._replace(ending=[]) if together else given
    recorded, is_live = record(connection, node, before, moment)
    if not (is_live and (outcomes or wants or connection.rows(IS_LIVE, {"node": node}))):
        raise lease_lost(connection, node)
    answers: list[ClaimAnswer] = []
    for want in wants:
        ends = given.ends(connection, moment) if together and not answers else {}
        try:
            position = resume_points.of(want)
            answer = claim(connection, node, want, ends, moment=moment, position=position)
        except UNDONE:
            if not any(one.claims for one in answers):
                raise
            # Those are committed: the answer of a second try would be without them.
            answers.append(ClaimAnswer(0, [], next_due=0.0))
            break
        answers.append(answer)
        resume_points.note(want, position, answer.first, len(answer.claims))
        recorded += answer.recorded
    return Exchanged(
        accepted_of(connection, node, outcomes, recorded),
        [one for answer in answers for one in answer.claims],
        min([answer.next_due for answer in answers if answer.next_due is not None], default=None),
        any(answer.lapsed for answer in answers),
    )


class ClaimAnswer(Struct, gc=False):
    """Answer to one want, and the number of outcomes that were recorded with it."""

    recorded: int
    claims: list[Claim]
    next_due: float | None
    lapsed: bool = False
    first: ScanPosition | None = None
    """The position of the first claim that is of no suspect."""


def claim(  # noqa: PLR0913  # what a claim needs
    connection: Statements,
    node: int,
    want: Want,
    ends: Mapping[str, object],
    *,
    moment: ServerMoment,
    position: ScanPosition,
) -> ClaimAnswer:
    """Claim for one want from a position on; record ends of jobs, if given. Raises `LeaseLost`."""
    asked: dict[str, object] = {
        "node": node,
        "now": moment.micros,
        "tasks": list(want.tasks),
        "queues": None if want.queues is None else list(want.queues),
        "limit": want.limit,
        "suspects": want.suspects,
        **position._asdict(),
        **ends,
    }
    rows = connection.rows(END_AND_CLAIM if ends else CLAIM, asked)
    recorded, _, leased, due, seen, now, *_ = rows[0]
    promotions = 0
    while due is not None and due <= 0 and promotions < MOST_PROMOTIONS:
        connection.execute(PROMOTE, asked)
        asked |= BEGINNING._asdict()  # they may go before all others
        rows = connection.rows(CLAIM, asked)
        _, _, leased, due, seen, now, *_ = rows[0]
        promotions += 1
    if leased is None:
        raise lease_lost(connection, node)
    claims = [claim_of(row[6:], now, moment) for row in rows[1:]]
    next_due = None if due is None else max(0.0, due / MICROS)
    if len(claims) < want.limit and position > BEGINNING:
        next_due = 0.0
    elif seen > len([one for one in claims if not is_suspect(one.crashes)]):
        # Others have locked the rest just now.
        next_due = AGAIN_SECONDS if next_due is None else min(AGAIN_SECONDS, next_due)
    return ClaimAnswer(recorded, claims, next_due, lapsed=not leased, first=first_of(rows[1:]))


def first_of(rows: Rows) -> ScanPosition | None:
    """Return the position of the first job that is no suspect: those have a line of their own."""
    for row in rows:
        key, crashes, priority, run_at = row[6], row[13], row[16], row[17]
        if not is_suspect(crashes):
            return ScanPosition(priority, run_at, key)
    return None


def claim_of(row: tuple[Any, ...], now: int, moment: ServerMoment) -> Claim:
    """Return the claim of a row that was read `now`."""
    key, nonce, fence, task, queue, payload, attempt, crashes, expired, options, _, run_at = row
    return Claim(
        key=key,
        id=format_id(key, nonce),
        fence=fence,
        task=task,
        queue=queue,
        payload=payload.encode(),
        attempt=attempt,
        crashes=crashes,
        expired=bool(expired),
        options=None if options is None else options.encode(),
        ready_at=moment.monotonic(run_at, now),
    )


def held(
    connection: Statements,
    node: int,
    *,
    moment: ServerMoment,
    lanes: KnownLanes | None = None,  # noqa: ARG001  # as above
) -> list[Claim]:
    """Return the claims that a node holds. Raises `LeaseLost` for a node that has gone."""
    if not connection.rows(IS_LIVE, {"node": node}):
        raise lease_lost(connection, node)
    rows = connection.rows(HELD, {"node": node, "now": moment.micros})
    return [claim_of(row[1:], row[0], moment) for row in rows]
