"""The exchange: outcomes and claims in one transaction, and one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from psycopg import Cursor  # the type of a Struct's field

from mainspring.model.job import Claim, Exchanged
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id
from mainspring.stores.postgres.nodes import LIVE, lease_lost
from mainspring.stores.postgres.outcomes import accepted_of, by_grant, record_each, recorded_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Outcome, Want
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.sql.lanes import KnownLanes

# A rescue waits for it, a renewal does not.
HOLD = """
SELECT renewed_at + lease > {now} FROM nodes
WHERE node = %(node)s AND ended_at IS NULL FOR KEY SHARE
"""

ASKED = """
asked AS MATERIALIZED (
  SELECT lane FROM lanes
  WHERE md5(task) = ANY (SELECT md5(name) FROM unnest(%(tasks)s::text[]) AS name)
    AND task = ANY (%(tasks)s::text[])
    AND (%(queues)s::text[] IS NULL OR queue = ANY (%(queues)s::text[]))
    AND NOT EXISTS (SELECT FROM paused WHERE paused.queue = lanes.queue)
    AND EXISTS (
      SELECT FROM nodes WHERE node = %(node)s AND ended_at IS NULL AND renewed_at + lease > {now}
    )
)
"""

PROMOTE = """
WITH {asked}, due AS (
  SELECT late.key FROM asked CROSS JOIN LATERAL (
    SELECT key FROM jobs WHERE state = 1 AND lane = asked.lane AND run_at <= {now}
    ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) AS late
)
UPDATE jobs SET state = 0 FROM due WHERE jobs.key = due.key
""".replace("{asked}", ASKED)

# The look at the lines locks nothing: rows that are locked lose their order. Who looks at the same
# time sees the same rows, and takes the next ones: `seen` says whether there may be more of them.
CLAIM = """
WITH {asked}, first AS MATERIALIZED (
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
  SELECT jobs.key FROM first JOIN jobs USING (key) WHERE state = 0
  ORDER BY first.priority, first.run_at, first.key LIMIT %(limit)s
  FOR UPDATE OF jobs SKIP LOCKED
), taken AS (
  UPDATE jobs SET state = 2, node = %(node)s, claimed_at = {now}, fence = fence + 1
  FROM free WHERE jobs.key = free.key
  RETURNING jobs.*
)
SELECT seen, key, nonce, fence, task, queue, payload, attempts + 1, crashes,
  coalesce(expires_at <= {now}, false)
FROM (SELECT count(*) AS seen FROM first) AS look
LEFT JOIN (SELECT * FROM taken JOIN lanes USING (lane)) AS claimed ON true
ORDER BY priority, run_at, key
""".replace("{asked}", ASKED)

NEXT_DUE = """
WITH {asked}
SELECT min(due.run_at) - {now} FROM asked CROSS JOIN LATERAL (
  SELECT run_at FROM jobs WHERE state = 1 AND lane = asked.lane ORDER BY run_at LIMIT 1
) AS due
""".replace("{asked}", ASKED)

HELD = """
SELECT 0, key, nonce, fence, task, queue, payload, attempts + 1, crashes,
  coalesce(expires_at <= {now}, false)
FROM jobs JOIN lanes USING (lane)
WHERE node = %(node)s AND state = 2
ORDER BY priority, run_at, key
"""

AGAIN_SECONDS = 0.05
"""Seconds after which jobs are looked at again that others had locked, and may give back."""


class Sent(Struct):
    """The statements of an exchange, on their way."""

    held: Cursor[tuple[Any, ...]]
    recorded: Cursor[tuple[Any, ...]] | None = None
    claims: list[Cursor[tuple[Any, ...]]] = []
    dues: list[Cursor[tuple[Any, ...]]] = []


def exchange(  # noqa: PLR0913  # the verb's signature
    connection: Statements,
    node: int,
    outcomes: Sequence[Outcome],
    wants: Sequence[Want],
    *,
    moment: ServerMoment,
    lanes: KnownLanes | None = None,  # noqa: ARG001  # the server knows them
    windows: int = 1,
    then: Sequence[tuple[str, dict[str, object]]] = (),
) -> Exchanged:
    """Record outcomes and claim work, in a transaction of its own.

    It looks at `windows` times as many jobs as are wanted; `then` are statements after the commit.
    """
    with connection.driver.pipeline():
        connection.execute("BEGIN")
        sent = send(connection, node, outcomes, wants, moment=moment, windows=windows)
        connection.execute("COMMIT")
        for statement, parameters in then:
            connection.execute(statement, parameters)
    row = sent.held.fetchone()
    if row is None:
        raise lease_lost(connection, node)
    recorded = sent.recorded.fetchall() if sent.recorded else []
    refused = len(recorded) < len(outcomes)
    words = recorded_of(connection, node, outcomes) if refused else None
    accepted = accepted_of(outcomes, recorded, words) if refused else [True] * len(outcomes)
    if not row[0]:
        return Exchanged(accepted, [], lapsed=True)
    return answer_of(accepted, wants, sent, windows)


def send(  # noqa: PLR0913  # as above
    connection: Statements,
    node: int,
    outcomes: Sequence[Outcome],
    wants: Sequence[Want],
    *,
    moment: ServerMoment,
    windows: int,
) -> Sent:
    """Send the statements; each is guarded by the node, so that none waits for another's answer."""
    asked = {"node": node, "now": moment.micros}
    sent = Sent(connection.execute(HOLD, asked))
    sent.recorded = record_each(connection, node, by_grant(outcomes).values(), moment)
    for want in wants:
        told = asked | {
            "tasks": list(want.tasks),
            "queues": None if want.queues is None else list(want.queues),
            "limit": want.limit,
            "window": want.limit * windows,
            "suspects": want.suspects,
        }
        connection.execute(PROMOTE, told)
        sent.claims.append(connection.execute(CLAIM, told))
        sent.dues.append(connection.execute(NEXT_DUE, told))
    return sent


def answer_of(accepted: list[bool], wants: Sequence[Want], sent: Sent, windows: int) -> Exchanged:
    """Return what an exchange has given."""
    claims: list[Claim] = []
    dues = [due / MICROS for cursor in sent.dues for (due,) in cursor if due is not None]
    for want, cursor in zip(wants, sent.claims, strict=True):
        rows = cursor.fetchall()
        given = [claim_of(row) for row in rows if row[1] is not None]
        claims += given
        seen = int(rows[0][0])
        if len(given) < min(want.limit, seen):
            # Others had locked some: look at more, or again.
            dues.append(0.0 if seen == want.limit * windows else AGAIN_SECONDS)
    return Exchanged(accepted, claims, max(0.0, min(dues)) if dues else None)


def claim_of(row: tuple[Any, ...]) -> Claim:
    """Return the claim of a row."""
    _, key, nonce, fence, task, queue, payload, attempt, crashes, expired = row
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
    )


def held(
    connection: Statements,
    node: int,
    *,
    moment: ServerMoment,
    lanes: KnownLanes | None = None,  # noqa: ARG001  # as above
) -> list[Claim]:
    """Return the claims that a node holds. Raises `LeaseLost` for a node that has gone."""
    if not connection.rows(LIVE.replace("FOR UPDATE", ""), {"node": node}):
        raise lease_lost(connection, node)
    return [claim_of(row) for row in connection.rows(HELD, {"node": node, "now": moment.micros})]
