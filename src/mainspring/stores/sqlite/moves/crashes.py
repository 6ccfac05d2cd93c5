"""What crashes do to rows: most jobs run again, one that has crashed too often has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import JobState, OutcomeKind, Rescued
from mainspring.stores.loss import Fate, fate_of
from mainspring.stores.sqlite.moves.endings import Ending, finish, text_of_failure
from mainspring.stores.sqlite.moves.returns import Return, give_back
from mainspring.stores.sqlite.rows.bulk import text_of
from mainspring.stores.sqlite.rows.states import NUMBERS, READY, SCHEDULED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from mainspring.model.job import Grant
    from mainspring.stores.clock import Moment

HELD_BY = """
SELECT group_concat(printf('[%d,%d,%d,%s]', key, fence, crashes, json_quote(task)))
FROM lanes
CROSS JOIN jobs INDEXED BY line ON jobs.lane = lanes.lane AND jobs.state = 2
WHERE node = ?
"""

HELD_AMONG = """
SELECT group_concat(printf('[%d,%d,%d,%s]', jobs.key, fence, crashes, json_quote(task)))
FROM json_each(?) AS asked
CROSS JOIN jobs ON jobs.key = asked.value
JOIN lanes USING (lane)
WHERE state = 2 AND node = ?
"""


class Held(Struct, frozen=True, gc=False, array_like=True):
    """A job that a node runs or is about to run."""

    key: int
    fence: int
    crashes: int
    task: str


class Crash(Struct, frozen=True, gc=False):
    """An attempt that ended with its process. Stored times; `began_at` None: not known."""

    evidence: str
    ended_at: int
    began_at: int | None = None


held_jobs = json.Decoder(list[Held])


def held_by(connection: sqlite3.Connection, node: int) -> list[Held]:
    """Return what a node holds."""
    return held_jobs.decode(f"[{text_of(connection, HELD_BY, (node,))}]")


def held_among(connection: sqlite3.Connection, node: int, grants: Iterable[Grant]) -> list[Held]:
    """Return those of the grants that the node holds."""
    asked = set(grants)
    if not asked:
        return []
    keys = json.encode([key for key, _ in asked]).decode()
    rows = held_jobs.decode(f"[{text_of(connection, HELD_AMONG, (keys, node))}]")
    return [job for job in rows if (job.key, job.fence) in asked]


def record_crashes(
    connection: sqlite3.Connection, node: int, crashes: dict[Held, Crash], moment: Moment
) -> Rescued:
    """Write down crashes of jobs that the node holds; return what became of them."""
    again: list[Return] = []
    lost: list[Ending] = []
    for job, crash in crashes.items():
        fate = fate_of(job.task, job.crashes, crash.evidence)
        if fate.delay is None:
            lost.append(given_up(job, crash, fate))
        else:
            again.append(redelivered(job, crash, fate, moment))
    give_back(connection, node, again)
    finish(connection, node, lost, charged=0, crashed=1)
    return Rescued(requeued=[row.key for row in again], failed=[row[0] for row in lost])


def redelivered(job: Held, crash: Crash, fate: Fate, moment: Moment) -> Return:
    """Return the row of a job that runs again; at once means in its old place."""
    return Return(
        key=job.key,
        fence=job.fence,
        outcome=OutcomeKind.CRASHED,
        began_at=crash.began_at,
        ended_at=crash.ended_at,
        failure=text_of_failure(fate.failure),
        state=SCHEDULED if fate.delay else READY,
        run_at=moment.after(fate.delay) if fate.delay else None,
        crashed=1,
    )


def given_up(job: Held, crash: Crash, fate: Fate) -> Ending:
    """Return the row of a job that has crashed too often."""
    failure = text_of_failure(fate.failure)
    state = NUMBERS[JobState.FAILED]
    return job.key, job.fence, state, crash.began_at, crash.ended_at, None, failure
