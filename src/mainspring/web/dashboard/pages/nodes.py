"""The nodes: the processes that run jobs, with lease and slots, and what each holds since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.counted import counted
from mainspring.model.duration import span
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.site import MOST_RUNNING
from mainspring.web.dashboard.visit import Page
from mainspring.web.dashboard.words import (
    badge,
    clipped,
    empty,
    job_link,
    past_moment,
    progress,
    section,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mainspring.model.lost_node import LostNode
    from mainspring.model.view import JobRecord
    from mainspring.queue.nodes import NodeInfo, WorkerReport
    from mainspring.web.dashboard.visit import Visit

HEADS = ("Node", "State", "Lease", "Holds", "Slots")
MOST_HELD = 20
"""Jobs listed of one node, those that run longest."""

MOST_NODES = 100
MOST_NAMES = 30


def nodes(visit: Visit) -> Page:
    """Return the page."""
    counts = visit.site.counts.get()
    infos, lost = counts.nodes, _lost(visit, counts.lost)
    running = visit.site.running.get()
    if not infos:
        said = joined("No worker has joined. Start one: ", tag("code", "mainspring worker --app …"))
        return Page("Nodes", joined(section("Nodes", empty(said)), lost), live=True)
    held = {node.name: [one for one in running if one.node == node.name] for node in infos}
    cards = [_card(visit, node, held[node.name]) for node in infos[:MOST_NODES]]
    bounds = []
    if len(infos) > MOST_NODES:
        bounds.append(f"These are the first {MOST_NODES} of {len(infos):,} nodes.")
    if len(running) == MOST_RUNNING:
        bounds.append(f"Of the jobs that run, the oldest {MOST_RUNNING} were read.")
    above = [tag("p", bound, class_="faint") for bound in bounds]
    return Page("Nodes", joined(above, cards, lost), live=True)


def live_nodes(visit: Visit, infos: Sequence[NodeInfo]) -> Html:
    """Return a short table of nodes."""
    if not infos:
        return empty("No worker has joined.")
    rows = [
        (
            tag("a", clipped(node.name), href=visit.url("/nodes")),
            _state(node),
            _lease(node),
            f"{node.running:,}",
            _slots(node),
        )
        for node in infos
    ]
    keys = [f"node {node.name}" for node in infos]
    return table(HEADS, rows, label="Nodes", numbers=("Holds", "Lease"), keys=keys)


def _lost(visit: Visit, lost: Sequence[LostNode]) -> Html | None:
    """Return the nodes that were lost and rescued, the newest first."""
    if not lost:
        return None
    rows = [
        (
            clipped(one.name),
            f"{clipped(one.host)}, process {one.pid}",
            past_moment(one.at, visit.now),
            one.jobs,
        )
        for one in lost[:MOST_NODES]
    ]
    heads = ("Node", "Host", "Lost", "Its jobs")
    keys = [f"lost {one.name} {one.at}" for one in lost[:MOST_NODES]]
    return section("Lost in the last 24 hours", table(heads, rows, label="Lost nodes", keys=keys))


def _card(visit: Visit, node: NodeInfo, held: Sequence[JobRecord]) -> Html:
    longest = sorted(held, key=lambda one: one.started_at or one.created_at)[:MOST_HELD]
    rows = [
        (
            job_link(visit, one.id),
            clipped(one.task),
            clipped(one.queue),
            past_moment(one.started_at, visit.now),
            progress(one.progress),
        )
        for one in longest
    ]
    heads = ("Job", "Task", "Queue", "Held since", "Progress")
    holds = empty("It holds no job.")
    if rows:
        keys = [one.id for one in longest]
        holds = table(heads, rows, label=f"Jobs of {node.name}", keys=keys)
    facts = tag("dl", [_fact(name, value) for name, value in _facts(visit, node)], class_="facts")
    more = f"and {counted(len(held) - MOST_HELD, 'more job')}" if len(held) > MOST_HELD else None
    left = more and tag("p", more)
    return section(
        clipped(node.name), facts, holds, left, _workers(visit, node), aside=_state(node)
    )


def _workers(visit: Visit, node: NodeInfo) -> Html | None:
    """Return the table of the background workers of the node's process."""
    if not node.workers:
        return None
    rows = [
        (
            clipped(one.name),
            clipped(one.kind),
            badge(_state_of_worker(one)),
            f"{one.runs:,}",
            f"{one.errors:,}",
            past_moment(one.moment, visit.now),
            tag("span", clipped(one.error or ""), class_="message"),
        )
        for one in node.workers
    ]
    heads = ("Worker", "Kind", "State", "Runs", "Errors", "Last run", "Last error")
    label = f"Background workers of {node.name}"
    keys = [f"worker {one.name}" for one in node.workers]
    title = tag("h3", "Background workers of its process")
    return joined(title, table(heads, rows, label=label, numbers=("Runs", "Errors"), keys=keys))


def _state_of_worker(one: WorkerReport) -> str:
    if one.hanging:
        return "hanging"
    return "failing" if one.failing and one.state != "failed" else clipped(one.state, 20)


def _facts(visit: Visit, node: NodeInfo) -> Iterable[tuple[str, Html | str]]:
    yield "Host", f"{node.host}, process {node.pid}"
    yield "Lease", _lease(node)
    yield "Slots", _slots(node)
    yield "Reported", past_moment(node.reported_at, visit.now, "not yet")
    yield "Queues", _names(node.serves.queues)
    yield "Tasks", _names(node.serves.tasks)
    lag = _report(node).get("loop_lag")
    if isinstance(lag, (int, float)):
        yield "Loop lag", f"{lag * 1000:,.1f} ms"
    restarts = _report(node).get("restarts")
    if isinstance(restarts, dict) and restarts:
        yield "Restarts", ", ".join(f"{name}: {count}" for name, count in restarts.items())
    if node.unreadable:
        yield "Unreadable", ", ".join(node.unreadable)


def _fact(name: str, value: Html | str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value))


def _state(node: NodeInfo) -> Html:
    return badge(node.state)


def _lease(node: NodeInfo) -> str:
    if node.live:
        return span(node.expires_in)
    return f"ended {span(-node.expires_in)} ago" if node.expires_in else "its process has died"


def _slots(node: NodeInfo) -> Html:
    """Return how many slots of each kind are busy."""
    slots: Mapping[str, Any] = _report(node).get("slots", {})
    if not slots:
        return tag("span", "not reported", class_="faint")
    return tag("span", [_meter(kind, one) for kind, one in slots.items()], class_="slots")


def _meter(kind: str, slot: Mapping[str, int]) -> Html:
    busy = f"{slot['running']}/{slot['size']}"
    abandoned = f", {slot['abandoned']} abandoned" if slot.get("abandoned") else ""
    most, label = max(1, slot["size"]), f"{kind} slots busy"
    bar = tag("meter", busy, value=slot["running"], max=most, aria_label=label)
    return tag("span", bar, f"{kind} {busy}{abandoned}", class_="slot")


def _report(node: NodeInfo) -> Mapping[str, Any]:
    return {} if "report" in node.unreadable else node.report


def _names(some: Iterable[str] | None) -> str:
    if some is None:
        return "all"
    names = sorted(some)
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more or "none"
