"""The list of jobs, by filter and page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.crash import lost_its_workers
from mainspring.model.job import JobState
from mainspring.model.value import Value
from mainspring.web.dashboard.bulk_change import CHANGES
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.selection import place_of, selection_of
from mainspring.web.dashboard.visit import Page
from mainspring.web.dashboard.words import (
    CHOOSE,
    badge,
    button,
    clipped,
    empty,
    hidden,
    job_link,
    moment,
    past_moment,
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


class JobList(Value, frozen=True):
    """A page that lists jobs: its title, address, heads, and what it says of an empty list.

    `status` is the state of all its jobs, None where the filter says it.
    """

    title: str
    path: str
    heads: tuple[str, ...]
    empty: str
    status: JobState | None = None


JOBS = JobList(
    "Jobs",
    "/jobs",
    ("Job", "Task", "Queue", "State", "Attempts", "Created", "Arguments and error"),
    "No job fits.",
)
DEAD_LETTERS = JobList(
    "Dead letters",
    "/dead-letters",
    ("Job", "Task", "Queue", "Attempts", "Failed", "Arguments and error", "Action"),
    "No job has failed for good.",
    JobState.FAILED,
)


def jobs(visit: Visit) -> Page:
    """Return the page."""
    return listing(visit, selection_of(visit.query), JOBS)


def dead_letters(visit: Visit) -> Page:
    """Return the page of the jobs that have failed for good."""
    return listing(visit, selection_of({**visit.query, "status": JobState.FAILED}), DEAD_LETTERS)


def listing(visit: Visit, chosen: Selection, kind: JobList) -> Page:
    """Return a page of jobs with its filter; raises Refusal."""
    before = place_of(visit.query)
    found = chosen.page(visit.site, before, PAGE)
    rows = _list(visit, chosen, found, kind) if found.jobs else _nothing(found, kind)
    body = joined(
        tag("div", _bulk(visit, chosen, kind), rows, class_="card"),
        _pages(visit, chosen, found, kind, first=before is None),
    )
    # An older page stays as it is, under the eyes of who reads it; and a search costs a tenth of a
    # second, which is too much for every two.
    live = before is None and not (chosen.search or chosen.narrowed)
    return Page(kind.title, body, live=live, above=_filter(visit, chosen, kind))


def _filter(visit: Visit, chosen: Selection, kind: JobList) -> Html:
    counts = visit.site.counts.get()
    tasks = sorted({lane.task for lane in counts.lanes})
    states = [
        tag("option", state or "any", value=state, selected=state == chosen.status)
        for state in ("", *JobState)
    ]
    status = _labelled("State", "status", tag("select", states, id="status", name="status"))
    search = tag(
        "input",
        type="search",
        id="search",
        name="search",
        value=chosen.search,
        placeholder="id, argument or error",
    )
    fields = (
        status if kind.status is None else None,
        _named("Queue", "queue", chosen.queue, counts.queues),
        _named("Task", "task", chosen.task, tasks),
        _labelled("Tag", "tag", tag("input", id="tag", name="tag", value=chosen.tag)),
        _labelled("Text", "search", search),
        _moment("Since (UTC)", "since", chosen.since),
        _moment("Until (UTC)", "until", chosen.until),
    )
    grouped = chosen.error and joined(hidden(error=chosen.error), badge("one group of failures"))
    return tag(
        "form",
        fields,
        grouped or None,
        tag("button", "Filter", type="submit", class_="main"),
        tag("a", "Clear", href=visit.url(kind.path), class_="button"),
        action=visit.url(kind.path),
        class_="filter card",
        role="search",
        aria_label="Filter jobs",
    )


def _moment(label: str, name: str, value: str) -> Html:
    return _labelled(
        label, name, tag("input", type="datetime-local", id=name, name=name, value=value)
    )


def _named(label: str, name: str, value: str, names: Sequence[str]) -> Html:
    options = [tag("option", value=one) for one in names[:MOST_NAMES]]
    field = tag("input", id=name, name=name, value=value, list=f"{name}s", autocomplete="off")
    return _labelled(label, name, joined(field, tag("datalist", options, id=f"{name}s")))


def _labelled(label: str, name: str, field: Html) -> Html:
    return tag("p", tag("label", label, for_=name), field)


def _bulk(visit: Visit, chosen: Selection, kind: JobList) -> Html | None:
    """Return the buttons for many jobs; the boxes of the rows belong to their form."""
    if not visit.operates:
        return None
    back = visit.url(kind.path, **_given(chosen, kind)).removeprefix(visit.root)
    fitting = [
        one for one in CHANGES.values() if chosen.state is None or chosen.state in one.states
    ]
    some = [
        tag(
            "button",
            f"{one.label} selected{'…' if one.asks else ''}",
            type="submit",
            name="action",
            value=one.name,
            form="some",
        )
        for one in fitting
    ]
    every = [
        tag("button", f"{one.label} all that fit…", type="submit", name="action", value=one.name)
        for one in fitting
    ]
    all_that_fit = tag(
        "form",
        hidden(**chosen.given, back=back),
        every,
        method="post",
        action=visit.url("/bulk"),
        class_="inline actions",
    )
    form = tag("form", hidden(back=back), method="post", action=visit.url("/bulk"), id="some")
    boxes = tag(
        "label",
        tag("input", type="checkbox", id="all"),
        "all of this page",
        hidden=True,
        id="choose",
    )
    return tag("div", form, boxes, some, all_that_fit if chosen.state else None, class_="bulk")


def _given(chosen: Selection, kind: JobList) -> dict[str, str]:
    """Return the fields of the filter that the page's address has to say."""
    return {k: v for k, v in chosen.given.items() if kind.status is None or k != "status"}


def _list(visit: Visit, chosen: Selection, found: FoundJobs, kind: JobList) -> Html:
    heads = (CHOOSE, *kind.heads) if visit.operates else kind.heads
    row = _row if kind.status is None else _dead_row
    rows = [row(visit, job) for job in found.jobs]
    if visit.operates:
        rows = [(_box(job), *cells) for job, cells in zip(found.jobs, rows, strict=True)]
    keys = [job.record.id for job in found.jobs]
    label = f"{kind.title}{' that fit' if _given(chosen, kind) else ''}, newest first"
    return table(heads, rows, label=label, numbers=("Attempts",), keys=keys)


def _box(job: RedactedJob) -> Html:
    job_id = job.record.id
    return tag(
        "input",
        type="checkbox",
        name="id",
        value=job_id,
        form="some",
        aria_label=f"choose {job_id}",
    )


def _dead_row(visit: Visit, job: RedactedJob) -> Sequence[Child]:
    record = job.record
    path, name = f"/jobs/{record.id}", f"job {record.id}"
    edit = tag("a", "Edit…", href=visit.url(f"{path}/edit"), class_="button")
    lost = lost_its_workers(record.failure)
    label = "Retry…" if lost else "Retry"
    acts = (button(visit, label, f"{path}/retry", back="/dead-letters", name=name), " ", edit)
    return (
        job_link(visit, record.id),
        clipped(record.task),
        clipped(record.queue),
        f"{record.attempts:,}",
        tag("span", past_moment(record.completed_at, visit.now), class_="nowrap"),
        joined(badge("lost") if lost else None, _said(job)),
        tag("span", acts, class_="actions") if visit.operates else None,
    )


def _row(visit: Visit, job: RedactedJob) -> Sequence[Child]:
    record = job.record
    state = state_of(record, visit.now)
    waits = state in {"scheduled", "retrying"}
    later = moment(record.run_at, visit.now) if waits else None
    return (
        job_link(visit, record.id),
        clipped(record.task),
        clipped(record.queue),
        tag("span", badge(state), " ", later, class_="nowrap"),
        f"{record.attempts:,}",
        past_moment(record.created_at, visit.now),
        _said(job),
    )


def _said(job: RedactedJob) -> Html:
    return tag(
        "span",
        tag("code", clipped(job.brief, 80)),
        tag("span", clipped(job.error), class_="message") if job.error else None,
        class_="lines",
    )


def _nothing(found: FoundJobs, kind: JobList) -> Html:
    return empty("None fits so far; look further." if found.before is not None else kind.empty)


def _pages(
    visit: Visit, chosen: Selection, found: FoundJobs, kind: JobList, *, first: bool
) -> Html:
    given = _given(chosen, kind)
    begin = visit.url(kind.path, **given)
    newest = tag("a", "Newest", href=begin, class_="button")
    older: Child = None
    if found.before is not None:
        url = visit.url(kind.path, **given, before=found.before)
        older = tag("a", "Older", href=url, class_="button", rel="next")
    looked: Child = None
    if found.looked is not None:
        looked = tag("span", f"looked through {counted(found.looked, 'job')}", class_="faint")
    parts = (looked, None if first else newest, older)
    return tag("nav", parts, class_="pages", aria_label="Pages of the list")
