"""The queues: how many jobs of each are in which state, how far behind, and who serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.duration import span
from mainspring.model.job import JobState
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import (
    NOTHING,
    badge,
    button,
    clipped,
    counted,
    empty,
    number,
    section,
    table,
)

if TYPE_CHECKING:
    from mainspring.model.view import LaneRecord
    from mainspring.web.dashboard.site import Counts
    from mainspring.web.dashboard.visit import Visit

HEADS = ("Queue", "Ready", "Oldest", "Scheduled", "Running", "Completed", "Failed", "Cancelled")
NUMBERS = HEADS[1:]
LANES = ("Task", "Ready", "Oldest", "Scheduled")


def queues(visit: Visit) -> Page:
    """Return the page."""
    counts = visit.site.counts.get()
    lanes = [
        section(
            f"Tasks of {clipped(name)}",
            table(
                LANES,
                [_lane_row(visit, lane) for lane in counts.lanes if lane.queue == name],
                label=f"Tasks of queue {name}",
                numbers=LANES[1:],
            ),
        )
        for name in counts.queues
        if any(lane.queue == name and lane.pending for lane in counts.lanes)
    ]
    body = joined(section("By queue", queue_table(visit, counts, acts=True)), lanes)
    return Page("Queues", body, live=True)


def queue_table(visit: Visit, counts: Counts, *, acts: bool = False) -> Html:
    """Return the table of queues; `acts` adds what can be done to each, and who serves it."""
    names = counts.queues
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
    lanes = [lane for lane in counts.lanes if lane.queue == name]
    of = counts.by_queue.get(name, {})
    scheduled = sum(lane.scheduled for lane in lanes)
    ready = max(0, of.get(JobState.PENDING, 0) - scheduled)
    title = tag(
        "span",
        tag("a", clipped(name), href=visit.url("/jobs", queue=name)),
        badge("paused") if name in counts.paused else None,
    )

    def state(status: JobState, kind: str) -> Html:
        count = of.get(status, 0)
        url = visit.url("/jobs", status=status, queue=name)
        return tag("a", number(count, kind), href=url) if count else number(0)

    return (
        title,
        number(ready, "ready"),
        oldest(lanes),
        number(scheduled),
        state(JobState.RUNNING, "running"),
        state(JobState.COMPLETED, ""),
        state(JobState.FAILED, "failed"),
        state(JobState.CANCELLED, ""),
    )


def oldest(lanes: list[LaneRecord]) -> Html:
    """Return the age of the oldest job that is ready."""
    ages = [lane.oldest_ready for lane in lanes if lane.oldest_ready is not None]
    return tag("span", span(max(ages))) if ages else tag("span", NOTHING, class_="faint zero")


def _more(visit: Visit, counts: Counts, name: str) -> tuple[Html, Html | None]:
    serving = [
        node.name
        for node in counts.nodes
        if node.live and (node.serves.queues is None or name in node.serves.queues)
    ]
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


def _lane_row(visit: Visit, lane: LaneRecord) -> tuple[Html, ...]:
    url = visit.url("/jobs", queue=lane.queue, task=lane.task)
    return (
        tag("a", clipped(lane.task), href=url),
        number(lane.pending - lane.scheduled, "ready"),
        oldest([lane]),
        number(lane.scheduled),
    )
