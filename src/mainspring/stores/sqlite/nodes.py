"""Nodes: joining, renewing, leaving, and what is taken from a node that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import JobState, Rescued
from mainspring.stores.loss import CRASHED, RELEASED, Fate, evidence_of, fate_of
from mainspring.stores.sqlite.intake import READY, SCHEDULED
from mainspring.stores.sqlite.outcomes import (
    NUMBERS,
    Ending,
    Return,
    finish,
    give_back,
    text_of_failure,
)
from mainspring.stores.sqlite.values import text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from mainspring.stores.clock import Moment
    from mainspring.stores.sqlite.lanes import Lanes

JOIN = "INSERT INTO nodes (name, host, pid, joined_at, lease_until) VALUES (?, ?, ?, ?, ?)"
RENEW = "UPDATE nodes SET lease_until = ? WHERE node = ? AND ended_at IS NULL"
END = "UPDATE nodes SET ended_at = ? WHERE node = ? AND ended_at IS NULL"
LIVE = "SELECT name, host, pid, lease_until FROM nodes WHERE node = ? AND ended_at IS NULL"

NAME = "SELECT name FROM nodes WHERE node = ?"

HELD = """
SELECT group_concat(printf('[%d,%d,%d,%d]', key, fence, jobs.lane, crashes))
FROM lanes CROSS JOIN jobs INDEXED BY line ON jobs.lane = lanes.lane AND jobs.state = 2
WHERE node = ?
"""


class Held(Struct, frozen=True, gc=False, array_like=True):
    """A job that a node runs or is about to run, as `HELD` gives it."""

    key: int
    fence: int
    lane: int
    crashes: int


held_jobs = json.Decoder(list[Held])


def name_of(connection: sqlite3.Connection, node: int) -> str:
    """Return a node's name, also when it has gone."""
    row = connection.execute(NAME, (node,)).fetchone()
    return str(row[0] if row else node)


def held_by(connection: sqlite3.Connection, node: int) -> list[Held]:
    """Return what a node holds."""
    return held_jobs.decode(f"[{text_of(connection, HELD, (node,))}]")


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


def fates_of(
    held: list[Held],
    *,
    begun: Collection[tuple[int, int]] | None,
    evidence: str,
    known: Lanes,
) -> dict[Held, Fate]:
    """Return what becomes of each job of a lost node."""
    return {
        job: fate_of(
            known.name(job.lane)[1],
            job.crashes,
            begun=begun is None or (job.key, job.fence) in begun,
            evidence=evidence,
        )
        for job in held
    }


def decide(
    connection: sqlite3.Connection, node: int, fates: dict[Held, Fate], moment: Moment
) -> Rescued:
    """End a lost node, and write down what becomes of its jobs."""
    connection.execute(END, (moment.micros, node))
    again = [crashed(job, fate, moment) for job, fate in fates.items() if fate.delay is not None]
    lost = [given_up(job, fate, moment) for job, fate in fates.items() if fate.delay is None]
    give_back(connection, node, again)
    finish(connection, node, lost, charged=0, crashed=1)
    return Rescued(requeued=[row.key for row in again], failed=[row[0] for row in lost])


def released(job: Held, moment: Moment) -> Return:
    """Return the row of a job that goes back to its place."""
    return Return(key=job.key, fence=job.fence, outcome=RELEASED, ended_at=moment.micros)


def crashed(job: Held, fate: Fate, moment: Moment) -> Return:
    """Return the row of a job that runs again."""
    if fate.failure is None:
        return released(job, moment)
    delay = fate.delay or 0.0
    return Return(
        key=job.key,
        fence=job.fence,
        outcome=CRASHED,
        ended_at=moment.micros,
        failure=text_of_failure(fate.failure),
        state=SCHEDULED if delay else READY,
        run_at=moment.after(delay) if delay else None,
        crashed=1,
    )


def given_up(job: Held, fate: Fate, moment: Moment) -> Ending:
    """Return the row of a job that has crashed too often."""
    failed = NUMBERS[JobState.FAILED]
    failure = text_of_failure(fate.failure)
    return job.key, job.fence, failed, None, moment.micros, None, failure
