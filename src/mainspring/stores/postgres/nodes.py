"""Nodes: joining, renewing, leaving, and what is taken from a node that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import LeaseLost
from mainspring.model.job import Outcome, OutcomeKind, Renewed, Rescued
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.postgres.outcomes import outcome_batch, record
from mainspring.stores.rules.columns import LATEST
from mainspring.stores.rules.rescue import ORPHANED, UNKNOWN_NODE, decide_crashes, evidence_of
from mainspring.stores.sql.records import node_of, running_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.model.crash import CrashDecision
    from mainspring.model.job import Grant
    from mainspring.model.view import NodeRecord
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

SILENT_MICROS = 7_000_000
"""A node that has not renewed for so long, and is not connected either, counts as lost."""

JOIN = """
INSERT INTO nodes (name, host, pid, joined_at, renewed_at, lease, serves)
VALUES (%(name)s, %(host)s, %(pid)s, {now}, {now}, %(lease)s, %(serves)s)
RETURNING node
"""
LOCKED = "UPDATE nodes SET locked = true WHERE node = %(node)s"

# One statement, which is a transaction: an idle worker asks it every few seconds.
RENEW = """
WITH renewed AS (
  UPDATE nodes SET renewed_at = {now}, lease = %(lease)s, report = coalesce(%(report)s, report)
  WHERE node = %(node)s AND ended_at IS NULL RETURNING node
)
SELECT jobs.key, jobs.fence FROM renewed
LEFT JOIN jobs ON jobs.node = renewed.node AND jobs.state = 2 AND jobs.cancel_asked
ORDER BY jobs.key
"""

END = "UPDATE nodes SET ended_at = {now} WHERE node = %(node)s AND ended_at IS NULL"
NAME = "SELECT name FROM nodes WHERE node = %(node)s"

# A lock of ours that is free says that the node is not connected. That may be the server's restart,
# so that it counts only for one which does not renew either.
UNTIL = """
CASE
  WHEN NOT locked OR EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = %(locks)s AND objid = live.node
  ) THEN renewed_at + lease
  ELSE renewed_at + least(lease, %(silent)s)
END
"""

# A lease that would never end was written by somebody else: see Columns.lease_end.
RUN_OUT = f"(({UNTIL}) <= {{now}} OR renewed_at + lease > {LATEST})"

LOST = f"""
SELECT name, host, pid FROM nodes AS live
WHERE node = %(node)s AND ended_at IS NULL AND (%(dead)s OR {RUN_OUT})
FOR UPDATE
"""  # noqa: S608  # joined from texts of ours alone

LIVE = "SELECT FROM nodes WHERE node = %(node)s AND ended_at IS NULL FOR UPDATE"

HELD = """
SELECT key, fence, crashes, task, cancel_asked FROM jobs JOIN lanes USING (lane)
WHERE node = %(node)s AND state = 2 ORDER BY key
"""

NODES = """
SELECT node, name, host, pid, {until}, (
  SELECT count(*) FROM jobs WHERE jobs.node = live.node AND state = 2
), serves, report, {now}
FROM nodes AS live WHERE ended_at IS NULL ORDER BY node
""".replace("{until}", UNTIL)

RUNNING = """
SELECT node, task, count(*) FROM jobs JOIN lanes USING (lane) WHERE state = 2 GROUP BY node, task
"""

ORPHANS = """
SELECT key FROM jobs WHERE state = 2 AND NOT EXISTS (
  SELECT FROM nodes WHERE nodes.node = jobs.node AND ended_at IS NULL
)
"""
ANY_ORPHAN = f"SELECT EXISTS ({ORPHANS})"
ADOPT = f"""
UPDATE jobs SET node = %(node)s WHERE key IN ({ORPHANS} ORDER BY key LIMIT %(limit)s FOR UPDATE)
"""  # noqa: S608  # joined from texts of ours alone


class HeldRow(Struct, frozen=True, gc=False):
    """A job that a node runs or is about to run."""

    key: int
    fence: int
    crashes: int
    task: str
    marked: bool


def join(  # noqa: PLR0913  # the verb's signature
    connection: Statements,
    *,
    name: str,
    host: str,
    pid: int,
    lease: float,
    serves: bytes,
    moment: ServerMoment,
) -> int:
    """Add a node and return its key."""
    row = {"name": name, "host": host, "pid": pid, "lease": micros(lease), "now": moment.micros}
    (node,) = connection.rows(JOIN, {**row, "serves": serves.decode()})[0]
    return int(node)


def name_of(connection: Statements, node: int) -> str:
    """Return a node's name, also when it has gone."""
    rows = connection.rows(NAME, {"node": node})
    return rows[0][0] if rows else str(node)


def lease_lost(connection: Statements, node: int) -> LeaseLost:
    """Return the error of a node that has gone."""
    return LeaseLost(name_of(connection, node))


def renew(
    connection: Statements, node: int, *, lease: float, report: bytes | None, moment: ServerMoment
) -> Renewed | None:
    """Renew a node's lease; return which of its jobs are to be cancelled."""
    asked = {"node": node, "lease": micros(lease), "now": moment.micros}
    asked["report"] = None if report is None else report.decode()  # type: ignore[assignment]  # a text
    rows = connection.rows(RENEW, asked)
    return Renewed(tuple(row for row in rows if row[0] is not None)) if rows else None


def leave(connection: Statements, node: int, moment: ServerMoment) -> None:
    """End a node; what it holds goes back, uncharged."""
    if connection.rows(LIVE, {"node": node}):
        back = [released(job) for job in held_by(connection, node)]
        record(connection, node, outcome_batch(back), moment)
        connection.execute(END, {"node": node, "now": moment.micros})


def held_by(connection: Statements, node: int) -> list[HeldRow]:
    """Return what a node holds."""
    return [HeldRow(*row) for row in connection.rows(HELD, {"node": node})]


def rescue(
    connection: Statements,
    node: int,
    *,
    dead: bool,
    begun: Collection[Grant] | None,
    moment: ServerMoment,
) -> Rescued | None:
    """End a lost node; what had begun has crashed, what had not goes back uncharged.

    None if it is not lost, or has gone already.
    """
    asked = {"node": node, "dead": dead, "now": moment.micros, "locks": connection.locks}
    rows = connection.rows(LOST, {**asked, "silent": SILENT_MICROS})
    if not rows:
        return None
    return take_from(connection, node, begun, evidence_of(*rows[0], dead=dead), moment)


def take_from(
    connection: Statements,
    node: int,
    begun: Collection[Grant] | None,
    evidence: str,
    moment: ServerMoment,
) -> Rescued:
    """End a node, and decide on what it holds; `evidence` says why it is lost."""
    decided = decide_crashes(held_by(connection, node), begun, evidence)
    outcomes = [outcome_of(job, crash) for job, crash in decided]
    record(connection, node, outcome_batch(outcomes), moment)
    connection.execute(END, {"node": node, "now": moment.micros})
    failed = [job.key for job, crash in decided if crash is not None and crash.delay is None]
    back = [(job.key, job.marked) for job, _ in decided if job.key not in failed]
    return Rescued(
        requeued=[key for key, marked in back if not marked],
        failed=failed,
        cancelled=[key for key, marked in back if marked],
    )


def any_orphan(connection: Statements) -> bool:
    """Return whether a running job has no live node, by reading only."""
    return bool(connection.rows(ANY_ORPHAN, {})[0][0])


def rescue_orphans(connection: Statements, limit: int, moment: ServerMoment) -> Rescued:
    """Give running jobs of no live node to a node of their own, and take them from it."""
    node = join(connection, name=UNKNOWN_NODE, host="", pid=0, lease=0, serves=b"{}", moment=moment)
    connection.execute(ADOPT, {"node": node, "limit": limit})
    return take_from(connection, node, None, ORPHANED, moment)


def released(job: HeldRow) -> Outcome:
    """Return the outcome of a job that goes back to its place."""
    return Outcome(job.key, job.fence, OutcomeKind.RELEASED)


def outcome_of(job: HeldRow, crash: CrashDecision | None) -> Outcome:
    """Return the outcome that a decision on a job means."""
    if crash is None:
        return released(job)
    if crash.delay is None:
        last = OutcomeKind.FAILED
        return Outcome(job.key, job.fence, last, failure=crash.failure, crashed=True)
    return Outcome(
        job.key, job.fence, OutcomeKind.CRASHED, failure=crash.failure, delay=crash.delay
    )


def nodes(connection: Statements, moment: ServerMoment) -> list[NodeRecord]:
    """Return the live nodes."""
    asked = {"now": moment.micros, "locks": connection.locks, "silent": SILENT_MICROS}
    return [node_of(row[:-1], row[-1]) for row in connection.rows(NODES, asked)]


def running_by_node(connection: Statements) -> dict[int, dict[str, int]]:
    """Return how many jobs of each task each node holds."""
    return running_of(connection.rows(RUNNING))
