"""The rows of a file as values for another store, and those of another store as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.faults import fault
from mainspring.model.stored_job import AnswerPage, Arrival, StoreMarks
from mainspring.stores.sql import portable
from mainspring.stores.sql.qualified import prefixed
from mainspring.stores.sqlite.intake.keyed_jobs import bearers_of
from mainspring.stores.sqlite.intake.plain_jobs import NEXT_KEY
from mainspring.stores.sqlite.nodes import END, join

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from mainspring.model.stored_job import StoredAnswer, StoredJob
    from mainspring.model.timetable import ScheduleRecord
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import Name
    from mainspring.stores.sql.portable import Record


def _for_sqlite(statement: str) -> str:
    lists = {"{keys}": ":keys", "{names}": ":names"}
    for place, parameter in lists.items():
        listed = f"(SELECT value FROM json_each({parameter}))"  # noqa: S608  # constants of ours
        statement = statement.replace(place, listed)
    return prefixed(statement).replace("{after}", ":after").replace("{limit}", ":limit")


JOBS = _for_sqlite(portable.JOBS)
ATTEMPTS = _for_sqlite(portable.ATTEMPTS)
LINES = _for_sqlite(portable.LINES)
KNOWN = _for_sqlite(portable.KNOWN)
ANSWERS = _for_sqlite(portable.ANSWERS)
ENDED_NODES = _for_sqlite(portable.ENDED_NODES)

LOWEST = -(2**63)

MARKS = f"""
SELECT {NEXT_KEY} - 1, max(
  coalesce((SELECT max(fence) FROM mainspring_locks WHERE fence < 4611686018427387904), 0),
  coalesce((
    SELECT seq FROM sqlite_sequence WHERE name = 'mainspring_locks' AND seq < 4611686018427387904
  ), 0)
)
"""  # noqa: S608  # constants of ours
SPEND = "UPDATE mainspring_spent SET key = max(key, ?)"
HAVE_FENCES = """
INSERT INTO sqlite_sequence (name, seq) SELECT 'mainspring_locks', 0
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'mainspring_locks')
"""
SPEND_FENCES = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'mainspring_locks'"


def export_jobs(
    connection: sqlite3.Connection, *, after: int | None, limit: int
) -> list[StoredJob]:
    """Return a page of jobs."""
    asked = {"after": LOWEST if after is None else after, "limit": limit}
    rows = connection.execute(JOBS, asked).fetchall()
    keys = {"keys": json.encode([row[0] for row in rows]).decode()}
    attempts = connection.execute(ATTEMPTS, keys).fetchall()
    return portable.jobs_of(rows, attempts, connection.execute(LINES, keys).fetchall())


def import_jobs(
    connection: sqlite3.Connection,
    jobs: Sequence[StoredJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> list[Arrival]:
    """Keep jobs that are not there."""
    keys = {"keys": json.encode([one.key for one in jobs]).decode()}
    known = dict(connection.execute(KNOWN, keys).fetchall())
    borne = bearers_of(connection, [one.unique for one in jobs if one.unique is not None])
    arrivals = portable.arrivals_of(jobs, known, borne)
    kept = [one for one, how in zip(jobs, arrivals, strict=True) if how is Arrival.KEPT]
    nodes = _nodes(connection, portable.node_names(kept), moment)
    for table, records in portable.records_of(kept, lanes, nodes).items():
        _insert(connection, table, records)
    fault("during_import")
    return arrivals


def export_answers(connection: sqlite3.Connection, cursor: str | None, limit: int) -> AnswerPage:
    """Return a page of idempotency keys."""
    rows = connection.execute(ANSWERS, {"after": cursor or "", "limit": limit}).fetchall()
    answers = [portable.answer_of(row) for row in rows]
    return AnswerPage(answers, answers[-1].idempotency_key if len(answers) == limit else None)


def import_answers(connection: sqlite3.Connection, answers: Sequence[StoredAnswer]) -> None:
    """Keep idempotency keys."""
    records = [portable.answer_record(one) for one in answers]
    _insert(connection, "idempotency", records, portable.ONE_ANSWER)


def import_schedules(connection: sqlite3.Connection, schedules: Sequence[ScheduleRecord]) -> int:
    """Keep schedules of whose names there are none."""
    records = [portable.schedule_record(one) for one in schedules]
    return _insert(connection, "schedules", records, "ON CONFLICT DO NOTHING")


def marks(connection: sqlite3.Connection) -> StoreMarks:
    """Return the highest numbers that were given."""
    return StoreMarks(*connection.execute(MARKS).fetchone())


def raise_marks(connection: sqlite3.Connection, wanted: StoreMarks) -> None:
    """Have only higher numbers given."""
    connection.execute(SPEND, (wanted.key,))
    connection.execute(HAVE_FENCES)
    connection.execute(SPEND_FENCES, (wanted.lock_fence,))


def _insert(
    connection: sqlite3.Connection, table: str, records: Sequence[Record], conflict: str = ""
) -> int:
    """Insert rows and return how many."""
    if not records:
        return 0
    columns = list(records[0])
    values = ", ".join(f":{column}" for column in columns)
    statement = (
        f"INSERT INTO mainspring_{table} AS there ({', '.join(columns)}) "  # noqa: S608  # names of ours
        f"VALUES ({values}) {conflict}"
    )
    return connection.executemany(statement, records).rowcount


def _nodes(connection: sqlite3.Connection, names: Sequence[str], moment: Moment) -> dict[str, int]:
    """Return the numbers under which histories name nodes; those of new names have ended."""
    asked: dict[str, Any] = {"names": json.encode(names).decode()}
    found: dict[str, int] = dict(connection.execute(ENDED_NODES, asked).fetchall())
    for name in names:
        if name not in found:
            found[name] = join(
                connection, name=name, host="", pid=0, lease=0, serves=b"{}", moment=moment
            )
            connection.execute(END, (moment.micros, found[name]))
    return found
