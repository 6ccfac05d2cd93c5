"""The verbs of `stores/sql/store.py` on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.faults import fault
from mainspring.model.job import Exchanged
from mainspring.stores.sqlite.catalog import listing
from mainspring.stores.sqlite.catalog.history import ended, history, stats
from mainspring.stores.sqlite.catalog.queues import lanes, paused
from mainspring.stores.sqlite.catalog.records import get
from mainspring.stores.sqlite.catalog.search import search
from mainspring.stores.sqlite.claims.wants import claim_for, held
from mainspring.stores.sqlite.controls import (
    any_late,
    cancel,
    drop,
    drop_ended,
    expire,
    pause,
    reschedule,
    resume,
    retry,
)
from mainspring.stores.sqlite.intake.keyed_jobs import enqueue_into
from mainspring.stores.sqlite.intake.wakeups import wakes_for
from mainspring.stores.sqlite.journal import log, note_many
from mainspring.stores.sqlite.locks import acquire, locks, release
from mainspring.stores.sqlite.nodes import (
    any_orphan,
    join,
    leave,
    nodes,
    renew,
    rescue,
    rescue_orphans,
    running_by_node,
)
from mainspring.stores.sqlite.portable import (
    export_answers,
    export_jobs,
    import_answers,
    import_jobs,
    import_schedules,
    marks,
    raise_marks,
)
from mainspring.stores.sqlite.purge import purge
from mainspring.stores.sqlite.time_series import (
    add_entry,
    any_old_entry,
    drop_entries,
    entries,
    replace_entries,
)
from mainspring.stores.sqlite.timetable import (
    advance,
    declare,
    forget_schedule,
    pause_schedule,
    resume_schedule,
    schedules,
    swap_schedule,
)
from mainspring.stores.sqlite.transitions.outcomes import record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mainspring.model.job import NewJob, Outcome, Want
    from mainspring.model.view import JobFilter, JobRecord
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import KnownLanes, Name

__all__ = [
    "acquire",
    "add_entry",
    "any_late",
    "any_old_entry",
    "any_orphan",
    "cancel",
    "declare",
    "drop",
    "drop_ended",
    "drop_entries",
    "ended",
    "entries",
    "exchange",
    "expire",
    "export_answers",
    "export_jobs",
    "forget_schedule",
    "get",
    "held",
    "history",
    "import_answers",
    "import_jobs",
    "import_schedules",
    "jobs",
    "join",
    "lanes",
    "leave",
    "locks",
    "log",
    "marks",
    "nodes",
    "note_many",
    "pause",
    "pause_schedule",
    "paused",
    "purge",
    "raise_marks",
    "release",
    "renew",
    "replace_entries",
    "reschedule",
    "rescue",
    "rescue_orphans",
    "resume",
    "resume_schedule",
    "retry",
    "running_by_node",
    "schedules",
    "search",
    "stats",
    "swap_schedule",
    "tick",
]


def exchange(  # noqa: PLR0913  # the verb's signature
    connection: sqlite3.Connection,
    node: int,
    outcomes: Sequence[Outcome],
    wants: Sequence[Want],
    *,
    lanes: KnownLanes,
    moment: Moment,
) -> Exchanged:
    """Record outcomes and claim work."""
    accepted = record(connection, node, outcomes, moment)
    given = claim_for(connection, node, wants, lanes=lanes, moment=moment)
    return Exchanged(accepted, given.claims, given.next_due, given.lapsed)


def jobs(  # noqa: PLR0913  # the seam's
    connection: sqlite3.Connection,
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    skip: int,
    oldest_first: bool,
) -> list[JobRecord]:
    """Return the newest or the oldest jobs that fit. What it costs: see `catalog.listing`."""
    if wanted.search is not None:
        most = listing.NEWEST
        return search(connection, wanted, before=before, limit=limit, most=most).records
    return listing.jobs(
        connection, wanted, before=before, limit=limit, skip=skip, oldest_first=oldest_first
    )


def tick(  # noqa: PLR0913  # as above
    connection: sqlite3.Connection,
    name: str,
    *,
    last: datetime,
    to: datetime,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> tuple[list[str], bool] | None:
    """Move a last tick and enqueue jobs; return their ids, and whether sleepers should wake."""
    if not advance(connection, name, last, to):
        return None
    kept = enqueue_into(connection, jobs, lanes, moment)
    wakes = wakes_for(connection, kept.placed)
    fault("during_tick")
    return kept.ids, wakes
