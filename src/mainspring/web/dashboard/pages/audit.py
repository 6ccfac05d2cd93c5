"""The audit log: who has changed what, from here and from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption
from mainspring.model.counted import counted
from mainspring.stores.job_id import parse_id
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.visit import Page, Refusal
from mainspring.web.dashboard.words import badge, clipped, empty, job_link, moment, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.audit import AuditEntry
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.visit import Visit

HEADS = ("When", "Who", "From", "Action", "Count", "What", "Details")
PAGE = 50
FEW = 5
"""Targets that a line names."""

JOBS = "jobs "
"""Beginning of the actions whose targets are ids."""


def audit(visit: Visit) -> Page:
    """Return the page; raises Refusal for a place that is none."""
    before = visit.query.get("before") or None
    try:
        found = visit.site.queue.audit(cursor=before, limit=PAGE)
    except InvalidOption:
        raise Refusal(400, "before is no place in the list; begin with the first page.") from None
    said = empty("Nobody has changed anything in the last month, from here or by a command.")
    body = table(HEADS, [_row(visit, one) for one in found], label="Changes, newest first")
    newest = tag("a", "Newest", href=visit.url("/audit"), class_="button") if before else None
    older: Child = None
    if found.cursor is not None:
        url = visit.url("/audit", before=found.cursor)
        older = tag("a", "Older", href=url, class_="button", rel="next")
    pages = tag("nav", newest, older, class_="pages", aria_label="Pages of the list")
    listed = section("Newest first", body if found else said, aside="kept for a month")
    return Page("Audit", joined(listed, pages), live=before is None)


def _row(visit: Visit, entry: AuditEntry) -> Sequence[Child]:
    when = moment(entry.at, visit.now)
    if entry.unreadable:
        return (when, badge("unreadable"), "", "", "", "", "")
    nameless = tag("span", "not named", class_="faint")
    details = [
        tag("span", f"{clipped(name, 60)}: {clipped(value)}")
        for name, value in entry.details.items()
    ]
    return (
        when,
        clipped(entry.actor) if entry.actor else nameless,
        clipped(entry.via),
        clipped(entry.action),
        f"{entry.count:,}",
        _targets(visit, entry),
        tag("span", details, class_="lines"),
    )


def _targets(visit: Visit, entry: AuditEntry) -> Html:
    shown = [
        job_link(visit, one)
        if entry.action.startswith(JOBS) and parse_id(one) is not None
        else tag("span", clipped(one))
        for one in entry.targets[:FEW]
    ]
    left = entry.count - len(shown)
    more = tag("span", f"and {counted(left, 'more', 'more')}", class_="faint") if left > 0 else None
    return tag("span", [joined(one, " ") for one in shown], more, class_="ids")
