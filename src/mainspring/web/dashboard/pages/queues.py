"""The queues: how many jobs of each are in which state, how far behind, and who serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.counted import counted
from mainspring.model.duration import latency, span
from mainspring.model.job import JobState
from mainspring.queue.statistics import QUANTILES
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.past import past_charts
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import (
    NOTHING,
    badge,
    button,
    clipped,
    empty,
    number,
    section,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.model.view import LaneRecord
    from mainspring.web.dashboard.site import Counts
    from mainspring.web.dashboard.visit import Visit

HEADS = ("Queue", "Ready", "Oldest", "Scheduled", "Running", "Completed", "Failed", "Cancelled")
NUMBERS = HEADS[1:]
LANES = ("Task", "Ready", "Oldest", "Scheduled")
TIMES = tuple(f"{kind} {place}" for kind in ("Wait", "Run") for place in QUANTILES)
RECENT = ("In/s", "Out/s", "Empty in", "Failed", "Retried", *TIMES)
RECENTLY = "The last 15 minutes"
OTHERS = "other tasks"
MOST_QUEUES = 200
MOST_WITH_TASKS = 20
MOST_TASKS = 50
"""Tasks that are shown of a queue, by name."""

STATES = (
    (JobState.RUNNING, "running"),
    (JobState.COMPLETED, ""),
    (JobState.FAILED, "failed"),
    (JobState.CANCELLED, ""),
)


def queues(visit: Visit) -> Page:
    """Return the page."""
    counts = visit.site.counts.get()
    shown = counts.furthest_behind(MOST_QUEUES)
    lanes = [
        _tasks(visit, name, counts.lanes_of[name])
        for name in counts.furthest_behind(MOST_WITH_TASKS)
        if any(lane.pending for lane in counts.lanes_of.get(name, ()))
    ]
    left = len(counts.queues) - len(shown)
    more = f"{len(shown)} of {len(counts.queues):,}, those furthest behind" if left else None
    rows = queue_table(visit, counts, shown, acts=True)
    recent = visit.site.recent.get().by_queue()
    times = recent_table(visit, [(name, recent[name]) for name in shown if name in recent])
    body = joined(section("By queue", rows, aside=more), section(RECENTLY, times), lanes)
    return Page("Queues", body, live=True)


def queue(visit: Visit) -> Page:
    """Return the page of the queue that the address names; raises Refusal if there is none."""
    name, counts = visit.query.get("queue", ""), visit.site.counts.get()
    recent = visit.site.recent.get()
    if name not in counts.queues and name not in recent.by_queue():
        raise Refusal(404, f"There is no queue {name!r}.")
    tasks = [(one["task"] or OTHERS, one) for one in recent.by_task() if one["queue"] == name]
    jobs = tag("a", "Its jobs", href=visit.url("/jobs", queue=name))
    lanes = counts.lanes_of.get(name, ())
    body = joined(
        section("Now", queue_table(visit, counts, [name], acts=True), aside=jobs),
        past_charts(visit, "/queue", name),
        section(RECENTLY, recent_table(visit, tasks[:MOST_TASKS], of="Task")),
        _tasks(visit, name, lanes) if any(lane.pending for lane in lanes) else None,
    )
    return Page(f"Queue {clipped(name, 60)}", body, live=True)


def recent_table(
    visit: Visit, rows: Sequence[tuple[str, Mapping[str, Any]]], *, of: str = "Queue"
) -> Html:
    """Return the table of what has been in the last minutes, of each queue or each task."""
    if not rows:
        return empty("No attempt has ended.")
    cells = [
        (
            tag("a", clipped(name), href=visit.url("/queue", queue=name))
            if of == "Queue"
            else clipped(name),
            *(_rate(one[rate]) for rate in ("in", "out")),
            latency(one["empty_in"]) if one["empty_in"] else NOTHING,
            number(one["failed"], "failed"),
            number(one["retried"]),
            *(_time(one[kind], place) for kind in ("wait", "run") for place in QUANTILES),
        )
        for name, one in rows
    ]
    keys = [f"recent {name}" for name, _ in rows]
    heads = (of, *RECENT)
    return table(heads, cells, label=f"{RECENTLY}, by {of.lower()}", numbers=RECENT, keys=keys)


def _rate(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}"


def _time(times: Mapping[str, float] | None, place: str) -> str:
    return NOTHING if times is None else latency(times[place])


def queue_table(visit: Visit, counts: Counts, names: Sequence[str], *, acts: bool = False) -> Html:
    """Return the table of queues; `acts` adds what can be done to each, and who serves it."""
    if not names:
        return empty("There are no queues yet: they come with the first job, or the first worker.")
    rows = [
        (*_row(visit, counts, name), *(_more(visit, counts, name) if acts else ()))
        for name in names
    ]
    heads = (*HEADS, *(("Served by", "Action") if acts else ()))
    keys = [f"queue {name}" for name in names]
    return table(heads, rows, label="Queues", numbers=NUMBERS, keys=keys)


def pause(visit: Visit) -> Done:
    """Pause the queue that the form names."""
    changed = visit.site.queue.pause(_known(visit))
    return Done("/queues", "queue-paused" if changed else "unchanged")


def resume(visit: Visit) -> Done:
    """Let the queue go on that the form names."""
    changed = visit.site.queue.resume(_known(visit))
    return Done("/queues", "queue-resumed" if changed else "unchanged")


def _known(visit: Visit) -> str:
    name = visit.field("queue")
    if name not in visit.site.counts.get().queues:
        raise Refusal(404, f"There is no queue {name!r}.")
    return name


def _row(visit: Visit, counts: Counts, name: str) -> tuple[Html, ...]:
    lanes = counts.lanes_of.get(name, ())
    of = counts.by_queue.get(name, {})
    scheduled = sum(lane.scheduled for lane in lanes)
    ready = max(0, of.get(JobState.PENDING, 0) - scheduled)
    title = tag(
        "span",
        tag("a", clipped(name), href=visit.url("/queue", queue=name)),
        badge("paused") if name in counts.paused else None,
        badge("no worker") if ready and not counts.is_served(name) else None,
    )

    def linked(count: int, status: JobState, kind: str) -> Html:
        url = visit.url("/jobs", status=status, queue=name)
        return tag("a", number(count, kind), href=url) if count else number(0)

    return (
        title,
        linked(ready, JobState.PENDING, "ready"),
        _oldest(lanes),
        linked(scheduled, JobState.PENDING, ""),
        *(linked(of.get(status, 0), status, kind) for status, kind in STATES),
    )


def _oldest(lanes: Sequence[LaneRecord]) -> Html:
    """Return the age of the oldest job that is ready."""
    ages = [lane.oldest_ready for lane in lanes if lane.oldest_ready is not None]
    return tag("span", span(max(ages))) if ages else tag("span", NOTHING, class_="faint zero")


def _more(visit: Visit, counts: Counts, name: str) -> tuple[Html, Html | None]:
    serving = counts.serving(name)
    who, url = ", ".join(serving), visit.url("/nodes")
    nodes = tag("a", counted(len(serving), "node"), href=url, title=who)
    served = nodes if serving else badge("nobody")
    paused = name in counts.paused
    act = button(
        visit,
        "Resume" if paused else "Pause",
        "/queues/resume" if paused else "/queues/pause",
        back="/queues",
        name=f"queue {name}",
        queue=name,
    )
    return served, act


def _tasks(visit: Visit, name: str, lanes: Sequence[LaneRecord]) -> Html:
    rows = [_lane_row(visit, lane) for lane in lanes[:MOST_TASKS]]
    label, left = f"Tasks of queue {name}", len(lanes) - MOST_TASKS
    more = f"the first {MOST_TASKS} of {len(lanes):,}" if left > 0 else None
    listed = table(LANES, rows, label=label, numbers=LANES[1:])
    return section(f"Tasks of {clipped(name)}", listed, aside=more)


def _lane_row(visit: Visit, lane: LaneRecord) -> tuple[Html, ...]:
    url = visit.url("/jobs", queue=lane.queue, task=lane.task)
    return (
        tag("a", clipped(lane.task), href=url),
        number(lane.pending - lane.scheduled, "ready"),
        _oldest([lane]),
        number(lane.scheduled),
    )
