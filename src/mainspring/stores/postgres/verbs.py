"""The verbs of `stores/sql/store.py` on PostgreSQL."""

from mainspring.stores.postgres.catalog import (
    ended,
    get,
    history,
    jobs,
    lanes,
    paused,
    search,
    stats,
)
from mainspring.stores.postgres.claims import exchange, held
from mainspring.stores.postgres.controls import (
    any_late,
    cancel,
    drop,
    drop_ended,
    expire,
    pause,
    purge,
    resume,
    retry,
)
from mainspring.stores.postgres.journal import log, note_many
from mainspring.stores.postgres.nodes import (
    any_orphan,
    join,
    leave,
    nodes,
    renew,
    rescue,
    rescue_orphans,
)
from mainspring.stores.postgres.timetable import (
    declare,
    forget_schedule,
    pause_schedule,
    resume_schedule,
    schedules,
    tick,
)

__all__ = [
    "any_late",
    "any_orphan",
    "cancel",
    "declare",
    "drop",
    "drop_ended",
    "ended",
    "exchange",
    "expire",
    "forget_schedule",
    "get",
    "held",
    "history",
    "jobs",
    "join",
    "lanes",
    "leave",
    "log",
    "nodes",
    "note_many",
    "pause",
    "pause_schedule",
    "paused",
    "purge",
    "renew",
    "rescue",
    "rescue_orphans",
    "resume",
    "resume_schedule",
    "retry",
    "schedules",
    "search",
    "stats",
    "tick",
]
