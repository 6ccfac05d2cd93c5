"""The rows of a schema as values for another store, and those of another store as rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.faults import fault
from mainspring.model.stored_job import AnswerPage, Arrival, StoreMarks
from mainspring.stores.postgres.connections.trouble import Raced
from mainspring.stores.postgres.enqueue import LONGEST_KEY, indexed
from mainspring.stores.postgres.journal import text
from mainspring.stores.postgres.nodes import END, join
from mainspring.stores.sql import portable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.model.stored_job import StoredAnswer, StoredJob
    from mainspring.model.timetable import ScheduleRecord
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.sql.lanes import Name
    from mainspring.stores.sql.portable import Record


def _for_postgres(statement: str) -> str:
    lists = {"{keys}": "%(keys)s::bigint[]", "{names}": "%(names)s::text[]"}
    for place, parameter in lists.items():
        statement = statement.replace(f"IN {place}", f"= ANY ({parameter})")
    return statement.replace("{after}", "%(after)s").replace("{limit}", "%(limit)s")


JOBS = _for_postgres(portable.JOBS)
ATTEMPTS = _for_postgres(portable.ATTEMPTS)
LINES = _for_postgres(portable.LINES)
KNOWN = _for_postgres(portable.KNOWN)
ANSWERS = _for_postgres(portable.ANSWERS)
ENDED_NODES = _for_postgres(portable.ENDED_NODES)

LOWEST = -(2**63)

BORNE = "SELECT unique_key FROM jobs WHERE unique_key = ANY (%(keys)s)"

# Defaults of the columns are not asked for: every column that may not be NULL is given.
INSERT = """
INSERT INTO {table} AS there ({columns}) SELECT {columns}
FROM json_populate_recordset(NULL::{schema}.{table}, %(rows)s::json) {conflict}
"""
MARKS = """
SELECT CASE WHEN jobs.is_called THEN jobs.last_value ELSE 0 END,
  CASE WHEN fences.is_called THEN fences.last_value ELSE 0 END
FROM {schema}.job_keys AS jobs, {schema}.lock_fences AS fences
"""
RAISE = """
SELECT setval('{schema}.{sequence}', %(wanted)s::bigint) FROM {schema}.{sequence}
WHERE last_value < %(wanted)s::bigint OR (last_value = %(wanted)s::bigint AND NOT is_called)
"""

IN_INDEX = re.compile(rf".{{{LONGEST_KEY}}}[0-9a-f]{{64}}", re.DOTALL)
"""A long key of a queue that was copied out of PostgreSQL: it is as the index takes it already."""


def export_jobs(connection: Statements, *, after: int | None, limit: int) -> list[StoredJob]:
    """Return a page of jobs."""
    asked = {"after": LOWEST if after is None else after, "limit": limit}
    rows = connection.rows(JOBS, asked)
    keys = {"keys": [row[0] for row in rows]}
    return portable.jobs_of(rows, connection.rows(ATTEMPTS, keys), connection.rows(LINES, keys))


def import_jobs(
    connection: Statements,
    jobs: Sequence[StoredJob],
    lanes: Mapping[Name, int],
    moment: ServerMoment,
) -> list[Arrival]:
    """Keep jobs that are not there. Raises `Raced`: then the caller rolls back."""
    known: dict[int, int] = dict(connection.rows(KNOWN, {"keys": [one.key for one in jobs]}))
    arrivals = portable.arrivals_of(jobs, known, _borne(connection, jobs))
    kept = [one for one, how in zip(jobs, arrivals, strict=True) if how is Arrival.KEPT]
    nodes = _nodes(connection, portable.node_names(kept), moment)
    for table, records in portable.records_of(kept, lanes, nodes).items():
        if _insert(connection, table, [_fit(one) for one in records]) < len(records):
            raise Raced
    fault("during_import")
    return arrivals


def export_answers(connection: Statements, cursor: str | None, limit: int) -> AnswerPage:
    """Return a page of idempotency keys."""
    rows = connection.rows(ANSWERS, {"after": cursor or "", "limit": limit})
    answers = [portable.answer_of(row) for row in rows]
    return AnswerPage(answers, answers[-1].idempotency_key if len(answers) == limit else None)


def import_answers(connection: Statements, answers: Sequence[StoredAnswer]) -> None:
    """Keep idempotency keys."""
    records = [portable.answer_record(one) for one in answers]
    for one in records:
        one["idempotency_key"] = _in_index(one["idempotency_key"])
    once = {one["idempotency_key"]: one for one in records}
    _insert(connection, "idempotency", list(once.values()), portable.ONE_ANSWER)


def import_schedules(connection: Statements, schedules: Sequence[ScheduleRecord]) -> int:
    """Keep schedules of whose names there are none."""
    return _insert(connection, "schedules", [portable.schedule_record(one) for one in schedules])


def marks(connection: Statements) -> StoreMarks:
    """Return the highest numbers that were given."""
    return StoreMarks(*connection.rows(MARKS)[0])


def raise_marks(connection: Statements, wanted: StoreMarks) -> None:
    """Have only higher numbers given."""
    for sequence, number in (("job_keys", wanted.key), ("lock_fences", wanted.lock_fence)):
        if number > 0:
            connection.execute(RAISE.replace("{sequence}", sequence), {"wanted": number})


def _borne(connection: Statements, jobs: Sequence[StoredJob]) -> set[str]:
    """Return the unique keys that live jobs bear."""
    names = {_in_index(one.unique): one.unique for one in jobs if one.unique is not None}
    rows = connection.rows(BORNE, {"keys": list(names)}) if names else []
    return {names[name] for (name,) in rows}


def _insert(
    connection: Statements,
    table: str,
    records: Sequence[Record],
    conflict: str = "ON CONFLICT DO NOTHING",
) -> int:
    """Insert rows and return how many."""
    if not records:
        return 0
    statement = INSERT.replace("{table}", table).replace("{columns}", ", ".join(records[0]))
    rows = {"rows": json.encode(records).decode()}
    return connection.execute(statement.replace("{conflict}", conflict), rows).rowcount


def _fit(record: Record) -> Record:
    """Return a row as the tables take it."""
    if "unique_key" in record:
        return {**record, "unique_key": _in_index(record["unique_key"])}
    texts = [name for name in ("line", "message") if record.get(name)]
    return {**record, **{name: text(record[name]) for name in texts}}


def _in_index(key: str | None) -> Any:
    return key if key is not None and IN_INDEX.fullmatch(key) else indexed(key)


def _nodes(connection: Statements, names: Sequence[str], moment: ServerMoment) -> dict[str, int]:
    """Return the numbers under which histories name nodes; those of new names have ended."""
    found: dict[str, int] = dict(connection.rows(ENDED_NODES, {"names": list(names)}))
    for name in names:
        if name not in found:
            found[name] = join(
                connection, name=name, host="", pid=0, lease=0, serves=b"{}", moment=moment
            )
            connection.execute(END, {"node": found[name], "now": moment.micros})
    return found
