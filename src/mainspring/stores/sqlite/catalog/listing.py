"""Lists of jobs, newest first: the keys of a page by the index that fits the filter, then its rows.

Every text of the caller's is a parameter; what varies in the statements is ours.

Before 1,000,000 finished jobs a page takes 1 ms, also by state. By queue or task it takes 2 ms if
they have few jobs, or if the newest 5,000 jobs fill it; if neither, 0.6 µs for each job of theirs.
(Measured on two busy cores.) Searches are in `search`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.model.job import FINAL, JobState
from mainspring.stores.rules.columns import text_in
from mainspring.stores.sql.states import FINAL_STATES
from mainspring.stores.sqlite.catalog.records import by_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from mainspring.model.view import JobFilter, JobRecord

LIVE_TABLE, FINAL_TABLE = "mainspring_jobs", "mainspring_finished"

LANES = "SELECT lane, queue, task FROM mainspring_lanes"

NEWEST = 2**63 - 1
"""Above any key."""

OLDEST = -(2**63)
"""Below any key."""

# A lane's rows stand together in these indexes, and only the index is read: the cost goes by how
# many jobs the filter leaves, however many others there are.
LIVE_OF_LANES = """
FROM json_each(:lanes) AS lane
CROSS JOIN mainspring_jobs AS job INDEXED BY mainspring_line
  ON job.lane = lane.value AND job.state {states}
"""
FINAL_OF_LANES = """
FROM json_each(:lanes) AS lane
CROSS JOIN mainspring_finished AS job INDEXED BY mainspring_finished_by_end
  ON job.lane = lane.value AND job.state {states}
"""

# In the order of their keys, to the end of the page.
LIVE = "FROM mainspring_jobs AS job NOT INDEXED"
COMPLETED = "FROM mainspring_finished AS job NOT INDEXED"
UNSUCCESSFUL = "FROM mainspring_finished AS job INDEXED BY mainspring_exceptions"
EXCEPTIONAL = "AND job.state <> 3 AND job.keep_until IS NULL"

ANY = "IS NOT NULL"
"""Any state, also one that no state has the number of (see `states`)."""

GLANCE = 5_000
"""The newest jobs of a table, among which a page of a lane is sought before its index is read."""

AMONG_NEWEST = """
FROM (
  SELECT key, lane, state FROM {table} NOT INDEXED WHERE key < :before
  ORDER BY key DESC LIMIT :glance
) AS job
"""
OF_LANES = "AND job.state {states} AND job.lane IN (SELECT value FROM json_each(:lanes))"

PAGE = """
SELECT job.key {source}
WHERE job.key < :before {conditions}
ORDER BY job.key DESC LIMIT :limit
"""

TAGGED_PAGE = """
SELECT key FROM mainspring_tags AS tags WHERE tag = :tag AND key < :before AND ({found})
ORDER BY key DESC LIMIT :limit
"""
FOUND = "EXISTS (SELECT 1 FROM {table} AS job WHERE job.key = tags.key {conditions})"
"""In the order of the keys that bear a tag, to the end of the page."""

Lane = tuple[int, str, str]
"""Number, queue and task."""


def jobs(  # noqa: PLR0913  # the seam's
    connection: sqlite3.Connection,
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    skip: int,
    oldest_first: bool,
) -> list[JobRecord]:
    """Return up to `limit` jobs that fit, newest first or oldest first."""
    # One transaction, in which no job moves from one table to the other.
    connection.execute("BEGIN")
    try:
        keys = page(connection, wanted, before, skip + limit, oldest_first=oldest_first)
        records = by_keys(connection, keys[skip:])
        return records[::-1] if oldest_first else records
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def page(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    before: int | None,
    limit: int,
    *,
    oldest_first: bool,
) -> list[int]:
    """Return the keys of a page."""
    lanes = all_lanes(connection)
    if before is None:
        before = OLDEST if oldest_first else NEWEST
    parameters: dict[str, object] = {"before": before, "limit": limit, "glance": GLANCE}
    parameters["tag"] = wanted.tag
    parameters["lanes"] = numbers(lane for lane in lanes if fits(lane, wanted))
    keys: list[int] = []
    for alternatives in statements(wanted):
        in_order = map(from_oldest, alternatives) if oldest_first else alternatives
        keys += keys_of(connection, in_order, parameters)
    return sorted(keys, reverse=not oldest_first)[:limit]


def from_oldest(statement: str) -> str:
    """Return a statement the other way round; its text is ours."""
    return statement.replace("key < :before", "key > :before").replace("DESC", "ASC")


def keys_of(
    connection: sqlite3.Connection, alternatives: Iterable[str], parameters: dict[str, object]
) -> list[int]:
    """Return what the first statement finds that fills the page, or the last one."""
    keys: list[int] = []
    for statement in alternatives:
        keys = [key for (key,) in connection.execute(statement, parameters).fetchall()]
        if len(keys) == parameters["limit"]:
            break
    return keys


def all_lanes(connection: sqlite3.Connection) -> list[Lane]:
    """Return every lane, with what can be read of its names."""
    rows = connection.execute(LANES).fetchall()
    return [(lane, text_in(queue), text_in(task)) for lane, queue, task in rows]


def numbers(lanes: Iterable[Lane]) -> str:
    """Return the numbers of lanes as JSON text."""
    return json.encode([lane[0] for lane in lanes]).decode()


def fits(lane: Lane, wanted: JobFilter) -> bool:
    """Return whether jobs of the lane are among those wanted."""
    _, queue, task = lane
    return wanted.queue in (None, queue) and wanted.task in (None, task)


def statements(wanted: JobFilter) -> Iterator[list[str]]:
    """Yield what finds the keys in one or both tables: the last of each does, others may."""
    by_lane = wanted.queue is not None or wanted.task is not None
    if wanted.tag is not None:
        yield [tagged_page(wanted, by_lane=by_lane)]
        return
    if wanted.status not in FINAL:
        yield live_page(wanted, by_lane=by_lane)
    if wanted.status is None or wanted.status in FINAL:
        yield final_page(wanted, by_lane=by_lane)
    if wanted.status is JobState.FAILED:
        # Two steps a lane: one condition over all other numbers would read what completed.
        for unknown in (f"< {min(FINAL_STATES)}", f"> {max(FINAL_STATES)}"):
            yield [final_of_lanes(unknown)]


def tagged_page(wanted: JobFilter, *, by_lane: bool) -> str:
    """Return the statement over what bears a tag: it ends when the page is full."""
    found = [
        FOUND.replace("{table}", table).replace("{conditions}", of_states(states, by_lane=by_lane))
        for table, states in tables_of(wanted.status)
    ]
    return TAGGED_PAGE.replace("{found}", " OR ".join(found))


def tables_of(status: JobState | None) -> Iterator[tuple[str, str]]:
    """Yield each table that has jobs of a state, with the condition of the state there."""
    if status not in FINAL:
        yield LIVE_TABLE, live_states(status)
    if status is JobState.FAILED:
        known = [str(number) for number, state in FINAL_STATES.items() if state is not status]
        yield FINAL_TABLE, f"NOT IN ({', '.join(known)})"
    elif status is None or status in FINAL:
        yield FINAL_TABLE, final_states(status)


def of_states(states: str, *, by_lane: bool) -> str:
    """Return the condition of states, and of lanes if the filter names any."""
    return OF_LANES.replace("{states}", states) if by_lane else f"AND job.state {states}"


def live_page(wanted: JobFilter, *, by_lane: bool) -> list[str]:
    """Return the statements over what has not ended."""
    states = live_states(wanted.status)
    # The few that run may stand before a million that wait.
    if wanted.status is JobState.RUNNING:
        return [page_of(LIVE_OF_LANES.replace("{states}", states))]
    if by_lane:
        return [*glances(LIVE_TABLE, states), page_of(LIVE_OF_LANES.replace("{states}", states))]
    return [page_of(LIVE, f"AND job.state {states}")]


def live_states(status: JobState | None) -> str:
    """Return the condition of a state that is not final, or of any."""
    return {None: ANY, JobState.PENDING: "<> 2", JobState.RUNNING: "= 2"}[status]


def final_page(wanted: JobFilter, *, by_lane: bool) -> list[str]:
    """Return the statements over what has ended."""
    states = final_states(wanted.status)
    if by_lane:
        return [*glances(FINAL_TABLE, states), final_of_lanes(states)]
    if wanted.status in (JobState.FAILED, JobState.CANCELLED):
        return [page_of(UNSUCCESSFUL, f"{EXCEPTIONAL} AND job.state {states}")]
    return [page_of(COMPLETED, f"AND job.state {states}")]


def final_of_lanes(states: str) -> str:
    """Return the statement over what has ended in some lanes, by their index."""
    return page_of(FINAL_OF_LANES.replace("{states}", states))


def glances(table: str, states: str) -> list[str]:
    """Return the look at the newest."""
    return [page_of(AMONG_NEWEST.replace("{table}", table), OF_LANES.replace("{states}", states))]


def final_states(status: JobState | None) -> str:
    """Return the condition of a final state, or of any."""
    if status is None:
        return ANY
    known = [str(number) for number, state in FINAL_STATES.items() if state is status]
    return f"IN ({', '.join(known)})"


def page_of(source: str, conditions: str = "") -> str:
    """Return the statement of a page; both texts are ours."""
    return PAGE.replace("{source}", source).replace("{conditions}", conditions)
