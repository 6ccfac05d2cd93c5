"""Nodes: joining, renewing, leaving, and what is taken from a node that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import OutcomeKind, Renewed, Rescued
from mainspring.stores.loss import evidence_of
from mainspring.stores.sqlite.moves.crashes import Crash, Held, held_by, record_crashes
from mainspring.stores.sqlite.moves.grants import marked_of
from mainspring.stores.sqlite.moves.returns import Return, give_back

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from mainspring.model.job import Grant
    from mainspring.stores.clock import Moment

JOIN = """
INSERT INTO nodes (name, host, pid, joined_at, lease_until, serves) VALUES (?, ?, ?, ?, ?, ?)
"""
RENEW = """
UPDATE nodes SET lease_until = ?, report = coalesce(?, report)
WHERE node = ? AND ended_at IS NULL
"""
END = "UPDATE nodes SET ended_at = ? WHERE node = ? AND ended_at IS NULL"
LIVE = "SELECT name, host, pid, lease_until FROM nodes WHERE node = ? AND ended_at IS NULL"

NAME = "SELECT name FROM nodes WHERE node = ?"


def name_of(connection: sqlite3.Connection, node: int) -> str:
    """Return a node's name, also when it has gone."""
    row = connection.execute(NAME, (node,)).fetchone()
    return str(row[0] if row else node)


def renew(
    connection: sqlite3.Connection, node: int, *, until: int, report: bytes | None
) -> Renewed | None:
    """Let a node live until that stored time; return what of its jobs is to be cancelled."""
    text = None if report is None else report.decode()
    if connection.execute(RENEW, (until, text, node)).rowcount == 0:
        return None
    return Renewed(tuple(sorted(marked_of(connection, node))))


def leave(connection: sqlite3.Connection, node: int, moment: Moment) -> None:
    """End a node; what it holds goes back, uncharged."""
    held = held_by(connection, node)
    give_back(connection, node, [released(job, moment) for job in held])
    connection.execute(END, (moment.micros, node))


def evidence_against(
    connection: sqlite3.Connection, node: int, *, dead: bool, moment: Moment
) -> str | None:
    """Return why a node counts as lost; None if it lives, or has gone already."""
    row = connection.execute(LIVE, (node,)).fetchone()
    if row is None or (not dead and row[3] > moment.micros):
        return None
    return evidence_of(*row[:3], dead=dead)


def rescue(
    connection: sqlite3.Connection,
    node: int,
    *,
    begun: Collection[Grant] | None,
    evidence: str,
    moment: Moment,
) -> Rescued:
    """End a lost node; what had begun has crashed, what had not goes back uncharged."""
    connection.execute(END, (moment.micros, node))
    crashes: dict[Held, Crash] = {}
    unbegun: list[Held] = []
    for job in held_by(connection, node):
        if begun is None or (job.key, job.fence) in begun:
            crashes[job] = Crash(evidence=evidence, ended_at=moment.micros)
        else:
            unbegun.append(job)
    marked = {key for key, _ in marked_of(connection, node)}
    give_back(connection, node, [released(job, moment) for job in unbegun])
    rescued = record_crashes(connection, node, crashes, moment)
    back = [job.key for job in unbegun] + rescued.requeued
    return Rescued(
        requeued=[key for key in back if key not in marked],
        failed=rescued.failed,
        cancelled=[key for key in back if key in marked],
    )


def released(job: Held, moment: Moment) -> Return:
    """Return the row of a job that goes back to its place."""
    return Return(
        key=job.key, fence=job.fence, outcome=OutcomeKind.RELEASED, ended_at=moment.micros
    )
