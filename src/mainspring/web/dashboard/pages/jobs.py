"""The list of jobs, by filter and page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.job import JobState
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.pages.bulk import CANCELLED, RETRIED
from mainspring.web.dashboard.selection import place_of, selection_of
from mainspring.web.dashboard.visit import Page
from mainspring.web.dashboard.words import (
    CHOOSE,
    badge,
    clipped,
    empty,
    hidden,
    job_link,
    moment,
    state_of,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.redaction import RedactedJob
    from mainspring.web.dashboard.selection import FoundJobs, Selection
    from mainspring.web.dashboard.visit import Visit

PAGE = 50
MOST_NAMES = 500
"""Names of tasks and queues that the filter proposes."""

HEADS = ("Job", "Task", "Queue", "State", "Attempts", "Created", "Arguments and error")


def jobs(visit: Visit) -> Page:
    """Return the page."""
    chosen, before = selection_of(visit.query), place_of(visit.query)
    found = chosen.page(visit.site, before, PAGE)
    rows = _list(visit, chosen, found) if found.jobs else _nothing(found)
    body = joined(
        tag("div", _bulk(visit, chosen), rows, class_="card"),
        _pages(visit, chosen, found, first=before is None),
    )
    # An older page stays as it is, under the eyes of who reads it; and a search costs a tenth of a
    # second, which is too much for every two.
    live = before is None and not (chosen.search or chosen.error)
    return Page("Jobs", body, live=live, above=_filter(visit, chosen))


def _filter(visit: Visit, chosen: Selection) -> Html:
    counts = visit.site.counts.get()
    tasks = sorted({lane.task for lane in counts.lanes})
    states = [
        tag("option", state or "any", value=state, selected=state == chosen.status)
        for state in ("", *JobState)
    ]
    fields = (
        _labelled("State", "status", tag("select", states, id="status", name="status")),
        _named("Queue", "queue", chosen.queue, counts.queues),
        _named("Task", "task", chosen.task, tasks),
        _labelled("Tag", "tag", tag("input", id="tag", name="tag", value=chosen.tag)),
        _labelled(
            "Text",
            "search",
            tag(
                "input",
                type="search",
                id="search",
                name="search",
                value=chosen.search,
                placeholder="id, argument or error",
            ),
        ),
    )
    grouped = chosen.error and joined(hidden(error=chosen.error), badge("one group of failures"))
    return tag(
        "form",
        fields,
        grouped or None,
        tag("button", "Filter", type="submit", class_="main"),
        tag("a", "Clear", href=visit.url("/jobs"), class_="button"),
        action=visit.url("/jobs"),
        class_="filter card",
        role="search",
        aria_label="Filter jobs",
    )


def _named(label: str, name: str, value: str, names: Sequence[str]) -> Html:
    options = [tag("option", value=one) for one in names[:MOST_NAMES]]
    field = tag("input", id=name, name=name, value=value, list=f"{name}s", autocomplete="off")
    return _labelled(label, name, joined(field, tag("datalist", options, id=f"{name}s")))


def _labelled(label: str, name: str, field: Html) -> Html:
    return tag("p", tag("label", label, for_=name), field)


def _bulk(visit: Visit, chosen: Selection) -> Html | None:
    """Return the buttons for many jobs; the boxes of the rows belong to their form."""
    if not visit.operates:
        return None
    some = [
        tag("button", label, type="submit", name="action", value=action, form="some")
        for label, action in (("Retry selected", "retry"), ("Cancel selected", "cancel"))
    ]
    back = visit.url("/jobs", **chosen.given).removeprefix(visit.root)
    retried, cancelled = chosen.state in RETRIED, chosen.state in CANCELLED
    action = "retry" if retried else "cancel" if cancelled else ""
    every = action and tag(
        "form",
        hidden(**chosen.given, action=action, back=back),
        tag("button", f"{action.capitalize()} all that fit…", type="submit"),
        method="post",
        action=visit.url("/bulk"),
        class_="inline",
    )
    form = tag("form", hidden(back=back), method="post", action=visit.url("/bulk"), id="some")
    boxes = tag(
        "label",
        tag("input", type="checkbox", id="all"),
        "all of this page",
        hidden=True,
        id="choose",
    )
    return tag("div", form, boxes, some, every or None, class_="bulk")


def _list(visit: Visit, chosen: Selection, found: FoundJobs) -> Html:
    heads = (CHOOSE, *HEADS) if visit.operates else HEADS
    rows = [_row(visit, job) for job in found.jobs]
    keys = [job.record.id for job in found.jobs]
    label = "Jobs, newest first" if not chosen.given else "Jobs that fit, newest first"
    return table(heads, rows, label=label, numbers=("Attempts",), keys=keys)


def _row(visit: Visit, job: RedactedJob) -> Sequence[Child]:
    record = job.record
    state = state_of(record, visit.now)
    waits = state in {"scheduled", "retrying"}
    later = moment(record.run_at, visit.now) if waits else None
    box = tag(
        "input",
        type="checkbox",
        name="id",
        value=record.id,
        form="some",
        aria_label=f"choose {record.id}",
    )
    cells: Sequence[Child] = (
        job_link(visit, record.id),
        clipped(record.task),
        clipped(record.queue),
        tag("span", badge(state), " ", later, class_="nowrap"),
        f"{record.attempts:,}",
        moment(record.created_at, visit.now),
        tag(
            "span",
            tag("code", clipped(job.brief, 80)),
            tag("span", clipped(job.error), class_="message") if job.error else None,
            class_="lines",
        ),
    )
    return (box, *cells) if visit.operates else cells


def _nothing(found: FoundJobs) -> Html:
    return empty("None fits so far; look further." if found.before is not None else "No job fits.")


def _pages(visit: Visit, chosen: Selection, found: FoundJobs, *, first: bool) -> Html:
    begin = visit.url("/jobs", **chosen.given)
    newest = tag("a", "Newest", href=begin, class_="button")
    older: Child = None
    if found.before is not None:
        url = visit.url("/jobs", **chosen.given, before=found.before)
        older = tag("a", "Older", href=url, class_="button", rel="next")
    looked: Child = None
    if found.looked is not None:
        looked = tag("span", f"looked through {counted(found.looked, 'job')}", class_="faint")
    parts = (looked, None if first else newest, older)
    return tag("nav", parts, class_="pages", aria_label="Pages of the list")
