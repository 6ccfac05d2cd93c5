"""A queue copied from one store into another while no worker runs.

Each step may be done again: what is there stays, so that a copy that was ended goes on.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.engine.node.node import Node
from mainspring.engine.node.rescuer import Rescuer
from mainspring.errors import StoreUnusable
from mainspring.faults import fault
from mainspring.model.audit import AUDIT
from mainspring.model.counted import counted
from mainspring.model.job import JobState
from mainspring.model.statistics import HOUR, MINUTE, MONTH_SECONDS, WINDOW
from mainspring.model.stored_job import Arrival, StoreMarks
from mainspring.queue.comparison import PageSize, compare
from mainspring.queue.nodes import nodes_of
from mainspring.stores.job_id import format_id
from mainspring.stores.public_url import public_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainspring.model.events import Event
    from mainspring.model.stored_job import StoredJob
    from mainspring.model.time_series import SeriesEntry
    from mainspring.protocols import JobStore

log = logging.getLogger("mainspring.queue")

MEMORY = "memory://"

ROOM = 1_000_000
"""Keys that are left free for jobs that the source may yet get, before a second copy."""

PROBE_SECONDS = 30.0
"""Lease of the node that tells whether two stores are one, if this process is killed meanwhile."""

ORPHANS = 1000
"""Jobs of nodes that are not there which one transaction recovers."""

ANSWERS = 1000
"""Idempotency keys of one page."""

ENTRIES = 200
"""Dated texts of one page."""

STATISTICS = (WINDOW, MINUTE, HOUR)
"""Kinds of texts that workers add up: a target where that was done must not get them again."""

TOLD_EACH = 100_000
"""Jobs after which the log says how far it is."""


@dataclass(frozen=True, slots=True)
class Side:
    """A store, and where it is."""

    store: JobStore
    place: str

    @property
    def url(self) -> str:
        """Its URL as people may read it."""
        return public_url(self.place)

    def unusable(self, why: str, remedy: str) -> StoreUnusable:
        """Return the error of a side that can't be one as it is."""
        return StoreUnusable(self.url, why, remedy)

    def is_same(self, other: Side) -> bool:
        """Return whether another side is this one; each queue in memory has its own."""
        return self.store is other.store or self.place == other.place != MEMORY


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of a copy: `copied` jobs now, and the jobs of both sides by state.

    `source` and `target` count the same jobs; `ahead` of them are in another state in the target,
    where they have gone on since an earlier copy, and `others` are jobs of the target alone.
    `missing` are not there, with some ids in `examples`; of these `key_taken` have a key that
    another job of the target has, and `unique_taken` bear a unique key of a live job there.
    `schedules` and `paused` are names that both sides have, `lost_schedules` those that can't be
    read.
    """

    copied: int
    source: dict[str, int]
    target: dict[str, int]
    ahead: int
    others: int
    missing: int
    examples: tuple[str, ...]
    key_taken: int
    unique_taken: int
    schedules: tuple[str, ...]
    paused: tuple[str, ...]
    lost_schedules: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """True if all of the source is in the target."""
        return self.source == self.target and not self.missing and not self.lost_schedules


def copy(source: Side, target: Side, *, into_existing: bool) -> CopyReport:
    """Copy all that a queue is, and return how both sides compare. Raises `StoreUnusable`."""
    if source.is_same(target) or are_one(source.store, target.store):
        raise source.unusable("it is the source and the target", "name another target")
    for side in (source, target):
        refuse_workers(side)
    recover_orphans(source.store)
    check_target(source, target, into_existing=into_existing)
    paused = copy_pauses(source.store, target.store)
    make_room(source.store, target.store)
    copy_answers(source.store, target.store)
    arrivals = copy_jobs(source, target.store)
    copy_time_series(source.store, target.store)
    schedules, lost = copy_schedules(source.store, target.store)
    for side in (source, target):
        refuse_workers(side)
    comparison = compare(source.store, target.store)
    return CopyReport(
        copied=arrivals[Arrival.KEPT],
        source=comparison.source,
        target=comparison.target,
        ahead=comparison.ahead,
        others=comparison.others,
        missing=comparison.missing,
        examples=tuple(comparison.examples),
        key_taken=arrivals[Arrival.KEY_TAKEN],
        unique_taken=arrivals[Arrival.UNIQUE_TAKEN],
        schedules=schedules,
        paused=paused,
        lost_schedules=lost,
    )


def are_one(source: JobStore, target: JobStore) -> bool:
    """Return whether a node that joins one store is in the other: two URLs may lead to one."""
    name = f"copy-{secrets.token_hex(8)}"
    node = source.join(name, host=socket.gethostname(), pid=os.getpid(), lease=PROBE_SECONDS)
    try:
        return any(other.name == name for other in target.nodes())
    finally:
        source.leave(node)


def refuse_workers(side: Side) -> None:
    """Raise `StoreUnusable` if a worker lives; the jobs of one that is lost are recovered."""
    rescuer = Rescuer(side.store, Node(side.store, slots=0, lease=0), ignore, lease=0)
    rescuer.look()
    live = [node for node in nodes_of(side.store, side.store.nodes()) if node.drains]
    if live:
        node = live[0]
        more = f", one of {len(live)}" if len(live) > 1 else ""
        raise side.unusable(
            f"worker {node.name} (process {node.pid} on {node.host}) is live in it{more}",
            "stop all workers and run it again; one that was killed on another host counts as live"
            f" until its lease is over, {max(0.0, node.expires_in):.0f} s from now",
        )


def ignore(event: Event) -> None:
    """Do nothing with an event of the rescue."""
    del event


def recover_orphans(store: JobStore) -> None:
    """Recover running jobs of nodes that are not there."""
    while store.rescue_orphans(limit=ORPHANS) is not None:
        pass


def check_target(source: Side, target: Side, *, into_existing: bool) -> None:
    """Raise `StoreUnusable` for a target that holds more than an earlier copy has left."""
    if into_existing or not target.store.export_jobs(after=None, limit=1):
        return
    found = compare(source.store, target.store)
    remedy = "name an empty target, or copy into this one all the same with --into-existing"
    if found.others:
        jobs = counted(found.others, "job")
        raise target.unusable(f"it holds {jobs} that {source.url} does not", remedy)
    if found.ahead:
        jobs = counted(found.ahead, "job")
        raise target.unusable(f"{jobs} of an earlier copy went on in it", remedy)


def copy_pauses(source: JobStore, target: JobStore) -> tuple[str, ...]:
    """Pause the queues that are paused; the first step, so that none of their jobs is run."""
    names = source.paused()
    for name in names:
        target.pause(name)
    return tuple(names)


def make_room(source: JobStore, target: JobStore) -> None:
    """Have the target give new jobs keys above those of the source, and so with fences of locks."""
    marks = source.marks()
    target.raise_marks(StoreMarks(marks.key + ROOM, marks.lock_fence))


def copy_answers(source: JobStore, target: JobStore) -> None:
    """Copy idempotency keys."""
    page = source.export_answers(cursor=None, limit=ANSWERS)
    target.import_answers(page.answers)
    while page.cursor is not None:
        page = source.export_answers(cursor=page.cursor, limit=ANSWERS)
        target.import_answers(page.answers)


def copy_jobs(source: Side, target: JobStore) -> dict[Arrival, int]:
    """Copy jobs, and return what became of how many."""
    arrivals, done = dict.fromkeys(Arrival, 0), 0
    for page in pages_of(source):
        for arrival in target.import_jobs(page):
            arrivals[arrival] += 1
        fault("after_import")
        if (done + len(page)) // TOLD_EACH > done // TOLD_EACH:
            log.info("%s jobs of %s are copied", f"{done + len(page):,}", source.url)
        done += len(page)
    return arrivals


def pages_of(source: Side) -> Iterator[Sequence[StoredJob]]:
    """Yield the jobs of a store, page by page, none of which runs."""
    size, after = PageSize(), None
    while page := source.store.export_jobs(after=after, limit=size.limit):
        for one in page:
            if one.state is JobState.RUNNING:
                job_id = format_id(one.key, one.nonce)
                why = f"worker {one.node} has begun job {job_id} in it"
                raise source.unusable(why, "stop all workers and run it again")
        yield page
        after = page[-1].key
        size.note(len(page), sum(one.size_bytes for one in page))


def copy_time_series(source: JobStore, target: JobStore) -> None:
    """Copy the audit log and statistics, but for texts that are there.

    Workers add statistics up: those that the target alone has may be the sums of what is here.
    """
    there = {kind: marks_of(target, kind) for kind in (AUDIT, *STATISTICS)}
    has_own = any(there[kind] - marks_of(source, kind) for kind in STATISTICS if there[kind])
    for kind in (AUDIT, *(() if has_own else STATISTICS)):
        for one in entries_of(source, kind):
            if mark_of(one) not in there[kind]:
                target.replace_entries(kind, (), by=kind, at=one.at, text=one.text)


def marks_of(store: JobStore, kind: str) -> set[int]:
    """Return what tells the texts of a kind apart."""
    return {mark_of(one) for one in entries_of(store, kind)}


def mark_of(entry: SeriesEntry) -> int:
    """Return what tells a text from others."""
    return hash((entry.at, entry.text))


def entries_of(store: JobStore, kind: str) -> Iterator[SeriesEntry]:
    """Yield the dated texts of a kind that are not about to be dropped, newest first."""
    before = None
    while True:
        found = store.entries(kind, newer_than=MONTH_SECONDS, before=before, limit=ENTRIES)
        yield from found.entries
        if not found.entries:
            return
        before = found.entries[-1].key


def copy_schedules(source: JobStore, target: JobStore) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Copy schedules; return the names of those that are there, and of those that can't be read."""
    schedules = source.schedules().schedules
    target.import_schedules([one for one in schedules if not one.unreadable])
    there = {one.new.name for one in target.schedules().schedules}
    names = [one.new.name for one in schedules]
    return tuple(filter(there.__contains__, names)), tuple(set(names) - there)
