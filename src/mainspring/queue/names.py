"""Names of queues and tasks that nobody knows: a warning in the log, since they may be to come."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mainspring.model.capabilities import capabilities_of
from mainspring.model.view import JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.model.task import Registry
    from mainspring.protocols import JobStore


log = logging.getLogger("mainspring.queue")

MOST_NAMED = 10
"""Known names that a warning shows, if none is like the one that was meant."""


def warn_of_queues(store: JobStore, tasks: Registry, names: Iterable[str]) -> None:
    """Warn of each queue that neither this program nor the store knows."""
    if unknown := [name for name in names if name not in {task.queue for task in tasks}]:
        served = [capabilities_of(node).queues or () for node in store.nodes()]
        schedules = [record.new.queue for record in store.schedules().schedules]
        known = {task.queue for task in tasks}.union(store.stats(), schedules, *served)
        _warn("queue", [name for name in unknown if name not in known], known)


def warn_of_task(store: JobStore, tasks: Registry, name: str) -> None:
    """Warn of a task that neither this program nor the store knows."""
    if name in tasks or store.jobs(JobFilter(task=name), before=None, limit=1):
        return
    served = [capabilities_of(node).tasks or () for node in store.nodes()]
    schedules = [record.new.task for record in store.schedules().schedules]
    known = {task.name for task in tasks}.union(schedules, *served)
    _warn("task", [] if name in known else [name], known)


def _warn(kind: str, unknown: Sequence[str], known: Iterable[str]) -> None:
    for name in unknown:
        log.warning(
            "there is no %s %r in the store, in this program or in a worker%s",
            kind,
            name,
            meant(name, known),
        )


def meant(name: str, known: Iterable[str]) -> str:
    """Return the names that are like this one, or else those there are, as the end of a message."""
    all_known = sorted(known)
    near = get_close_matches(name, all_known, n=3)
    if near or not all_known:
        return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
    more = ", …" if len(all_known) > MOST_NAMED else ""
    return f"; there is {', '.join(map(repr, all_known[:MOST_NAMED]))}{more}"
