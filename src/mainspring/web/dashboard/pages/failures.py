"""The failures: the newest failed jobs in groups that have task, error and message in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.visit import Page
from mainspring.web.dashboard.words import (
    button,
    clipped,
    empty,
    job_link,
    moment,
    section,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.queue.failures import FailureGroup
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.visit import Visit

HEADS = ("Jobs", "Task", "Error", "Since", "Last", "Samples", "Action")


def failures(visit: Visit) -> Page:
    """Return the page."""
    found = visit.site.failures.get()
    read = counted(found.looked, "failed job")
    bound = f"{read}, all there are" if found.whole else f"the newest {read}; there are more"
    if not found.groups:
        return Page("Failures", section("Failures", empty("Nothing has failed.")), live=True)
    body = section("By task and error", group_rows(visit, found.groups), aside=bound)
    return Page("Failures", body, live=True)


def group_rows(visit: Visit, groups: Sequence[FailureGroup]) -> Html:
    """Return the table of groups."""
    rows = [_row(visit, group) for group in groups]
    keys = [group.key for group in groups]
    return table(HEADS, rows, label="Failures by task and error", numbers=("Jobs",), keys=keys)


def _row(visit: Visit, group: FailureGroup) -> Sequence[Child]:
    url = visit.url("/jobs", status="failed", task=group.task, error=group.key)
    again = button(
        visit,
        "Retry…",
        "/bulk",
        back="/failures",
        name=f"{group.task}, {group.error}",
        action="retry",
        status="failed",
        task=group.task,
        error=group.key,
    )
    message = tag("span", clipped(group.message), class_="message")
    error = tag("span", tag("b", clipped(group.error)), " ", message)
    return (
        tag("a", f"{group.count:,}", href=url, class_="failed"),
        clipped(group.task),
        error,
        moment(group.first, visit.now),
        moment(group.last, visit.now),
        tag("span", [joined(job_link(visit, one), " ") for one in group.samples], class_="ids"),
        again,
    )
