"""The exchange: outcomes and claims, mostly in one statement, so in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mainspring.model.job import Claim, Exchanged
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id
from mainspring.stores.postgres.connections.trouble import UNDONE
from mainspring.stores.postgres.nodes import lease_lost
from mainspring.stores.postgres.outcomes import (
    LIVE,
    RECORD,
    RECORDING,
    accepted_of,
    asked_of,
    by_grant,
)
from mainspring.stores.rules.outcomes import effect_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Outcome, Want
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
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

# Rows are found by their keys, as those of outcomes are: see there.
# The look at the lines locks nothing: rows that are locked lose their order. Who looks at the same
# time sees the same rows, and takes the next ones: `seen` says whether there may be more of them.
CLAIMING = """
first AS MATERIALIZED (
  SELECT key, priority, run_at FROM (
    SELECT line.* FROM asked CROSS JOIN LATERAL (
      SELECT key, priority, run_at FROM jobs
      WHERE state = 0 AND lane = asked.lane AND crashes < 2
      ORDER BY priority, run_at, key LIMIT %(window)s
    ) AS line
    UNION ALL (
      SELECT line.* FROM asked CROSS JOIN LATERAL (
        SELECT key, priority, run_at FROM jobs
        WHERE state = 0 AND lane = asked.lane AND crashes >= 2
        ORDER BY priority, run_at, key LIMIT %(suspects)s
      ) AS line
      ORDER BY priority, run_at, key LIMIT %(suspects)s
    )
  ) AS lines
  ORDER BY priority, run_at, key LIMIT %(window)s
), free AS MATERIALIZED (
  SELECT one.key FROM first CROSS JOIN LATERAL (
    SELECT key FROM jobs WHERE key = first.key AND state + 0 = 0 FOR UPDATE SKIP LOCKED
  ) AS one
  ORDER BY first.priority, first.run_at, first.key LIMIT %(limit)s
), taken AS (
  UPDATE jobs SET state = 2, node = %(node)s, claimed_at = {now}, fence = jobs.fence + 1
  WHERE key = ANY (ARRAY(SELECT key FROM free))
  RETURNING jobs.*
)
"""

ANSWER = """
SELECT {recorded}, (SELECT leased FROM live), (SELECT micros FROM due), seen,
  key, nonce, fence, task, queue, payload, attempts + 1, crashes,
  coalesce(expires_at <= {now}, false), options, run_at, {now}
FROM (SELECT count(*) AS seen FROM first) AS look
LEFT JOIN (SELECT * FROM taken JOIN lanes USING (lane)) AS claimed ON true
ORDER BY priority, run_at, key
"""

CLAIM = ", ".join(("WITH " + LIVE, ASKED, CLAIMING)) + ANSWER.replace("{recorded}", "0")
RECORD_AND_CLAIM = ", ".join(("WITH " + LIVE, RECORDING, ASKED, CLAIMING)) + ANSWER.replace(
    "{recorded}", "(SELECT count(*) FROM mine)"
)
"""One statement for what is most frequent; it can't claim what it gives back itself."""

HELD = """
SELECT key, nonce, fence, task, queue, payload, attempts + 1, crashes,
  coalesce(expires_at <= {now}, false), options, run_at, {now}
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
    windows: int = 1,
) -> Exchanged:
    """Record outcomes and claim work, each statement a transaction of its own.

    It looks at `windows` times as many jobs as are wanted.
    """
    recorded = 0
    first = by_grant(outcomes)
    together = bool(outcomes and wants) and all(effect_of(one).final for one in first.values())
    if outcomes and not together:
        ((recorded, leased),) = connection.rows(RECORD, asked_of(node, first.values(), moment))
        if leased is None:
            raise lease_lost(connection, node)
    elif not wants and not connection.rows(IS_LIVE, {"node": node}):
        raise lease_lost(connection, node)
    answers: list[ClaimAnswer] = []
    for want in wants:
        also = asked_of(node, first.values(), moment) if together and not answers else {}
        asked = claim_parameters(node, want, windows, moment) | also
        try:
            answer = claim(connection, node, want, asked, moment=moment, recording=bool(also))
        except UNDONE:
            if not any(one.claims for one in answers):
                raise
            # Those are committed: the answer of a second try would be without them.
            answers.append(ClaimAnswer(0, [], next_due=0.0))
            break
        answers.append(answer)
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


def claim_parameters(
    node: int, want: Want, windows: int, moment: ServerMoment
) -> dict[str, object]:
    """Return the parameters of a claim."""
    return {
        "node": node,
        "now": moment.micros,
        "tasks": list(want.tasks),
        "queues": None if want.queues is None else list(want.queues),
        "limit": want.limit,
        "window": want.limit * windows,
        "suspects": want.suspects,
    }


def claim(  # noqa: PLR0913  # what a claim needs
    connection: Statements,
    node: int,
    want: Want,
    asked: dict[str, object],
    *,
    moment: ServerMoment,
    recording: bool,
) -> ClaimAnswer:
    """Claim for one want. Raises `LeaseLost`."""
    rows = connection.rows(RECORD_AND_CLAIM if recording else CLAIM, asked)
    recorded, leased, due, seen, *_ = rows[0]
    promotions = 0
    while due is not None and due <= 0 and promotions < MOST_PROMOTIONS:
        connection.execute(PROMOTE, asked)
        rows = connection.rows(CLAIM, asked)
        _, leased, due, seen, *_ = rows[0]
        promotions += 1
    if leased is None:
        raise lease_lost(connection, node)
    claims = [claim_of(row[4:], moment) for row in rows if row[4] is not None]
    next_due = None if due is None else max(0.0, due / MICROS)
    if len(claims) < min(want.limit, seen):
        # Others had locked some: look at more, or again.
        again = 0.0 if seen == asked["window"] else AGAIN_SECONDS
        next_due = again if next_due is None else min(again, next_due)
    return ClaimAnswer(recorded, claims, next_due, lapsed=not leased)


def claim_of(row: tuple[Any, ...], moment: ServerMoment) -> Claim:
    """Return the claim of a row."""
    key, nonce, fence, task, queue, payload, attempt, crashes, expired, options, run_at, now = row
    return Claim(
        key=key,
        id=format_id(key, nonce),
        fence=fence,
        task=task,
        queue=queue,
        payload=payload.encode(),
        attempt=attempt,
        crashes=crashes,
        expired=expired,
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
    return [claim_of(row, moment) for row in rows]
