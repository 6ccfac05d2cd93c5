"""The overview: what waits, runs and fails, how far behind that is, and what is in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.duration import distance, span
from mainspring.model.job import JobState
from mainspring.model.lost_node import recently_lost
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.pages.failures import group_rows
from mainspring.web.dashboard.pages.nodes import live_nodes
from mainspring.web.dashboard.pages.queues import queue_table
from mainspring.web.dashboard.past import past_charts
from mainspring.web.dashboard.visit import Page
from mainspring.web.dashboard.words import (
    NOTHING,
    clipped,
    empty,
    job_link,
    past_moment,
    progress,
    section,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.site import Counts
    from mainspring.web.dashboard.visit import Visit

MOST_QUEUES = 12
FEW = 5
"""Lines of a list of which another page shows the whole."""


def overview(visit: Visit) -> Page:
    """Return the page."""
    counts = visit.site.counts.get()
    behind = queue_table(visit, counts, counts.furthest_behind(MOST_QUEUES))
    body = joined(
        [tag("p", one, class_="warning") for one in _warnings(visit, counts)],
        tag("dl", _tiles(visit, counts), class_="tiles"),
        section("Queues", behind, aside=_link(visit, "/queues", "All queues")),
        _failures(visit),
        tag("div", _running(visit), _nodes(visit, counts), class_="two"),
        past_charts(visit, "/"),
    )
    return Page("Overview", body, live=True)


def _warnings(visit: Visit, counts: Counts) -> Iterator[Html]:
    live = [node for node in counts.nodes if node.live]
    if not live:
        yield joined("No worker is live. Start one: ", tag("code", "mainspring worker --app …"))
    elif counts.unclaimable:
        jobs = sum(lane.pending for lane in counts.unclaimable)
        first = counts.unclaimable[0]
        jobs_url = visit.url("/jobs", status="pending", queue=first.queue, task=first.task)
        yield joined(
            f"{counted(jobs, 'job waits', 'jobs wait')} that no live worker takes: of task ",
            tag("a", clipped(first.task), href=jobs_url),
            f" in queue {clipped(first.queue)}"
            + (f" and {len(counts.unclaimable) - 1:,} more." if counts.unclaimable[1:] else "."),
        )
    for name in [one for one in counts.queues if one in counts.paused][:FEW]:
        waits = counts.by_queue.get(name, {}).get(JobState.PENDING, 0)
        if waits:
            yield joined(
                "Queue ",
                tag("a", clipped(name), href=visit.url("/queue", queue=name)),
                f" is paused, and {counted(waits, 'job waits', 'jobs wait')} in it.",
            )
    for one in recently_lost(counts.lost, counts.at)[:FEW]:
        yield joined(
            "Worker ",
            tag("a", clipped(one.name), href=visit.url("/nodes")),
            f" was lost {distance(one.at, counts.at)}; {one.jobs}.",
        )
    silent = [node.name for node in counts.nodes if node.state == "silent"]
    if silent:
        many = counted(len(silent), "worker has", "workers have")
        yield joined(f"{many} missed heartbeats: {clipped(', '.join(silent))}.")
    gone = [node.name for node in counts.nodes if not node.live]
    if gone and live:
        lost = counted(len(gone), "worker is", "workers are")
        yield joined(f"{lost} gone, and not rescued yet: {clipped(', '.join(gone))}.")


def _tiles(visit: Visit, counts: Counts) -> list[Html]:
    scheduled = sum(lane.scheduled for lane in counts.lanes)
    waiting = counts.of(JobState.PENDING)
    ages = [lane.oldest_ready for lane in counts.lanes if lane.oldest_ready is not None]
    live = sum(node.live for node in counts.nodes)

    def tile(name: str, value: str, path: str, kind: str = "", **query: str) -> Html:
        shown = tag("a", value, href=visit.url(path, **query))
        return tag("div", tag("dt", name), tag("dd", shown), class_=f"tile {kind}".strip())

    def state(name: str, count: int, status: JobState, kind: str) -> Html:
        return tile(name, f"{count:,}", "/jobs", kind if count else "", status=status)

    return [
        state("Ready", max(0, waiting - scheduled), JobState.PENDING, "ready"),
        tile("Oldest ready", span(max(ages)) if ages else NOTHING, "/queues"),
        state("Running", counts.of(JobState.RUNNING), JobState.RUNNING, "running"),
        state("Scheduled", scheduled, JobState.PENDING, "scheduled"),
        state("Completed", counts.of(JobState.COMPLETED), JobState.COMPLETED, "completed"),
        state("Failed", counts.of(JobState.FAILED), JobState.FAILED, "failed"),
        state("Cancelled", counts.of(JobState.CANCELLED), JobState.CANCELLED, "cancelled"),
        tile("Live nodes", f"{live:,}", "/nodes", "" if live else "failed"),
    ]


def _running(visit: Visit) -> Html:
    records = visit.site.running.get()
    oldest = sorted(records, key=lambda record: record.started_at or record.created_at)[:FEW]
    rows = [
        (
            job_link(visit, one.id),
            clipped(one.task),
            progress(one.progress),
            past_moment(one.started_at, visit.now),
        )
        for one in oldest
    ]
    heads = ("Job", "Task", "Progress", "Started")
    keys = [one.id for one in oldest]
    body = empty("Nothing runs.")
    if rows:
        body = table(heads, rows, label="Running longest", keys=keys)
    link = _link(visit, "/jobs", "All running", status="running")
    return section("Running longest", body, aside=link)


def _nodes(visit: Visit, counts: Counts) -> Html:
    link = _link(visit, "/nodes", "All nodes")
    return section("Nodes", live_nodes(visit, counts.nodes[:FEW]), aside=link)


def _failures(visit: Visit) -> Html:
    found = visit.site.failures.get()
    body: Child = empty("Nothing has failed.")
    if found.groups:
        body = group_rows(visit, found.groups[:FEW])
    return section("What fails most", body, aside=_link(visit, "/failures", "All failures"))


def _link(visit: Visit, path: str, label: str, **query: str) -> Html:
    return tag("a", label, href=visit.url(path, **query))
