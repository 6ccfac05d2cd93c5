"""The pages of the screen: a table of the things that can be chosen, and lines above and below."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from mainspring.cli.text.job import ATTEMPT_DISPENSABLE, ATTEMPT_HEADS
from mainspring.cli.text.table import lines_of
from mainspring.model.counted import counted
from mainspring.model.duration import distance, span
from mainspring.model.lost_node import recently_lost
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.cli.top.snapshot import Snapshot
    from mainspring.model.lost_node import LostNode
    from mainspring.queue.nodes import NodeInfo

FIELD = 12
"""Columns of the name of a job's field."""

OVERVIEW_ROWS = 5
"""Rows of running jobs, and of failures, on the overview."""


class PageTable(Value, frozen=True):
    """Rows below their heads; `keys` says for each row what it is of. See `text.table`."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    dispensable: tuple[str, ...] = ()

    def lines(self, width: int) -> list[str]:
        """Return the table's lines, the heads first, none wider than that."""
        found = lines_of(
            self.heads,
            self.rows,
            numbers=self.numbers,
            dispensable=self.dispensable,
            width=width,
        )
        return [line[:width] for line in found]


def summary(now: Snapshot) -> list[str]:
    """Return two lines: the jobs of all queues, and the workers."""
    stats = now.stats
    names = ("ready", "scheduled", "running", "failed", "completed")
    counts = ", ".join(f"{stats[name]:,} {name}" for name in names)
    rate = "" if now.rate is None else f"; {now.rate:,.1f} done/s"
    slots = ", ".join(
        f"{kind} {load['busy']}/{load['size']}" for kind, load in stats["slots"].items()
    )
    oldest = stats["oldest_ready"]
    behind = "" if oldest is None else f"; the oldest ready one waits for {span(oldest)}"
    workers = f"{counted(stats['workers'], 'worker')}; busy slots: {slots or 'none reported'}"
    lost = stats["unclaimable"]
    nobody = f"; {lost:,} that nobody takes" if lost else ""
    gone = recently_lost(now.lost, now.at)
    said = f"; {counted(len(gone), 'worker')} lost {distance(gone[0].at, now.at)}" if gone else ""
    return [f"{counts}{rate}", f"{workers}{said}{behind}{nobody}"]


def queues(now: Snapshot) -> PageTable:
    """Return the queues."""
    names = sorted({*now.stats["queues"], *now.paused})
    nothing: Mapping[str, Any] = dict.fromkeys(
        ("ready", "scheduled", "running", "completed", "failed", "cancelled"), 0
    )
    rows = [
        _queue_row(name, now.stats["queues"].get(name, nothing), paused=name in now.paused)
        for name in names
    ]
    return PageTable(
        "Queues",
        ("QUEUE", "", "READY", "SCHEDULED", "RUNNING", "FAILED", "COMPLETED", "OLDEST"),
        tuple(rows),
        tuple(names),
        ("READY", "SCHEDULED", "RUNNING", "FAILED", "COMPLETED", "OLDEST"),
        ("COMPLETED", "SCHEDULED", "QUEUE", "OLDEST", "FAILED"),
    )


def nodes(now: Snapshot) -> PageTable:
    """Return the workers."""
    return PageTable(
        "Nodes",
        ("NODE", "HOST", "PID", "LEASE", "RUNNING", "SLOTS", "LAG", "STATE"),
        (*(_node_row(node) for node in now.nodes), *(_lost_row(one, now) for one in now.lost)),
        (*(node.name for node in now.nodes), *(one.name for one in now.lost)),
        ("PID", "LEASE", "RUNNING", "LAG"),
        ("PID", "LAG", "HOST", "NODE", "LEASE", "SLOTS"),
    )


def failing(now: Snapshot) -> PageTable:
    """Return the failing tasks."""
    rows = [
        (f"{len(one.job_ids):,}", one.task, one.error, distance(one.last, now.at))
        for one in now.failing
    ]
    return PageTable(
        "Failing tasks",
        ("JOBS", "TASK", "ERROR", "LAST"),
        tuple(rows),
        tuple(f"{one.task}\n{one.error}" for one in now.failing),
        ("JOBS",),
        ("ERROR", "TASK", "LAST"),
    )


def running(now: Snapshot) -> PageTable:
    """Return the jobs that run, the longest first."""
    rows = [
        (
            job.id,
            job.task,
            job.queue,
            "" if job.started_at is None else span((now.at - job.started_at).total_seconds()),
            f"{job.progress:.0%}" if job.progress else "",
            job.node or "",
        )
        for job in now.running
    ]
    return PageTable(
        "Running jobs",
        ("ID", "TASK", "QUEUE", "FOR", "DONE", "NODE"),
        tuple(rows),
        tuple(job.id for job in now.running),
        ("FOR", "DONE"),
        ("NODE", "DONE", "QUEUE", "TASK"),
    )


def job_page(now: Snapshot, width: int | None) -> list[str]:
    """Return the lines of the job that is looked into."""
    job = now.job
    if job is None:
        return ["this job is not there any more"]
    lines = [*job.lines, *(f"{'why':<12}{reason}" for reason in job.reasons)]
    lines = [part for line in lines for part in _wrapped(line, width)]
    if job.attempts:
        table = lines_of(ATTEMPT_HEADS, job.attempts, dispensable=ATTEMPT_DISPENSABLE, width=width)
        lines += ["", *table]
    if job.traceback:
        lines += ["", *job.traceback]
    return [*lines, *(["", *job.log] if job.log else [])]


def _wrapped(line: str, width: int | None) -> list[str]:
    """Return a field's line as lines of that width: its end may be what matters."""
    if width is None or len(line) <= width:
        return [line]
    # At least a word's width beside the names, however narrow the terminal is.
    return wrap(line, max(width, 2 * FIELD), subsequent_indent=" " * FIELD)


def _queue_row(name: str, counts: Mapping[str, Any], *, paused: bool) -> tuple[str, ...]:
    oldest = counts.get("oldest_ready")
    numbers = ("ready", "scheduled", "running", "failed", "completed")
    return (
        name,
        "paused" if paused else "",
        *(f"{counts.get(number, 0):,}" for number in numbers),
        "" if oldest is None else span(oldest),
    )


def _node_row(node: NodeInfo) -> tuple[str, ...]:
    report = {} if "report" in node.unreadable else node.report
    slots = [f"{kind} {one['running']}/{one['size']}" for kind, one in _slots(report).items()]
    lag = report.get("loop_lag")
    return (
        node.name,
        node.host,
        str(node.pid),
        span(max(node.expires_in, 0.0)),
        str(node.running),
        ", ".join(slots),
        f"{1000 * lag:.0f} ms" if isinstance(lag, (int, float)) else "",
        node.state,
    )


def _lost_row(lost: LostNode, now: Snapshot) -> tuple[str, ...]:
    state = f"lost {distance(lost.at, now.at)}: {lost.jobs}"
    return (lost.name, lost.host, str(lost.pid), "", "", "", "", state)


def _slots(report: Mapping[str, Any]) -> Mapping[str, Any]:
    slots = report.get("slots", {})
    return slots if isinstance(slots, dict) else {}
