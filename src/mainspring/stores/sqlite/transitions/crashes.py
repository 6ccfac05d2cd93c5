"""The jobs of a lost node: most run again, one that has crashed too often fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import JobState, OutcomeKind, Rescued
from mainspring.stores.rules.rescue import decide_crashes
from mainspring.stores.sql.states import NUMBERS, READY, SCHEDULED
from mainspring.stores.sqlite.rows.bulk import text_of
from mainspring.stores.sqlite.transitions.endings import Ending, finish, text_of_failure
from mainspring.stores.sqlite.transitions.grants import marked_of
from mainspring.stores.sqlite.transitions.returns import Return, give_back

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from mainspring.model.crash import CrashDecision
    from mainspring.model.job import Grant
    from mainspring.stores.clock import Moment

HELD_BY = """
SELECT group_concat(printf('[%d,%d,%d,"%s"]', key, fence, crashes, hex(task)))
FROM mainspring_lanes AS lanes
CROSS JOIN mainspring_jobs AS jobs INDEXED BY mainspring_line
  ON jobs.lane = lanes.lane AND jobs.state = 2
WHERE node = ?
"""


class Held(Struct, frozen=True, gc=False, array_like=True):
    """A job that a node runs or is about to run; `task_hex` are the bytes of its task's name."""

    key: int
    fence: int
    crashes: int
    task_hex: str

    @property
    def task(self) -> str:
        """The name of its task."""
        return bytes.fromhex(self.task_hex).decode("utf-8", "backslashreplace")


held_jobs = json.Decoder(list[Held])


def held_by(connection: sqlite3.Connection, node: int) -> list[Held]:
    """Return what a node holds."""
    return held_jobs.decode(f"[{text_of(connection, HELD_BY, (node,))}]")


def take_from(
    connection: sqlite3.Connection,
    node: int,
    *,
    begun: Collection[Grant] | None,
    evidence: str,
    moment: Moment,
) -> Rescued:
    """Release or end a lost node's jobs; only what had begun is charged a crash."""
    back: list[Return] = []
    lost: list[Ending] = []
    for job, decision in decide_crashes(held_by(connection, node), begun, evidence):
        if decision is None:
            back.append(released(job, moment))
        elif decision.delay is None:
            lost.append(given_up(job, decision, moment))
        else:
            back.append(redelivered(job, decision, decision.delay, moment))
    marked = {key for key, _ in marked_of(connection, node)}
    give_back(connection, node, back)
    finish(connection, node, lost, charged=0, crashed=1)
    return Rescued(
        requeued=[row.key for row in back if row.key not in marked],
        failed=[row[0] for row in lost],
        cancelled=[row.key for row in back if row.key in marked],
    )


def released(job: Held, moment: Moment) -> Return:
    """Return the row of a job that goes back to its place."""
    return Return(
        key=job.key, fence=job.fence, outcome=OutcomeKind.RELEASED, ended_at=moment.micros
    )


def redelivered(job: Held, decision: CrashDecision, delay: float, moment: Moment) -> Return:
    """Return the row of a job that runs again; at once means in its old place."""
    return Return(
        key=job.key,
        fence=job.fence,
        outcome=OutcomeKind.CRASHED,
        ended_at=moment.micros,
        failure=text_of_failure(decision.failure),
        state=SCHEDULED if delay else READY,
        run_at=moment.after(delay) if delay else None,
        crashed=1,
    )


def given_up(job: Held, decision: CrashDecision, moment: Moment) -> Ending:
    """Return the row of a job that has crashed too often."""
    failure = text_of_failure(decision.failure)
    state = NUMBERS[JobState.FAILED]
    return job.key, job.fence, state, None, moment.micros, None, failure
