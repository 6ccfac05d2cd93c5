"""Changes of many jobs at once: those that are named, or those that fit, with a count first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.crash import lost_its_workers
from mainspring.web.dashboard.bulk_change import change_named, is_made, make, number_of
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.selection import ChosenIds, selection_of
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import clipped, hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.web.dashboard.bulk_change import BulkChange
    from mainspring.web.dashboard.selection import Selection
    from mainspring.web.dashboard.visit import Visit

MOST_CHANGED = 10_000
"""Jobs that one change takes; of more, it is made again."""

MOST_ASKED = 500
"""Jobs named by ids that are looked at before a change; a page has boxes for fewer."""


def bulk(visit: Visit) -> Page | Done:
    """Change the jobs that are named, or that fit the filter; the latter after a question."""
    change = change_named(visit.field("action"))
    ids = list(dict.fromkeys(visit.fields("id")))[:MOST_CHANGED]
    confirmed = ("confirmed", "yes") in visit.form
    killers = 0 if confirmed else _killers(visit, change, ids)
    if ids and (confirmed or not (change.asks or killers)):
        return _changed(visit, change, ids)
    chosen = selection_of(dict(visit.form))
    if not ids and chosen.state not in change.states:
        states = " or ".join(sorted(change.states))
        raise Refusal(400, f"Choose jobs by their boxes, or all of a state that fits: {states}.")
    if confirmed:
        left = chosen.ids(visit.site, MOST_CHANGED, lambda one: is_made(visit, change, one))
        return _changed(visit, change, left.ids)
    found = ChosenIds(ids, whole=True) if ids else chosen.ids(visit.site, MOST_CHANGED)
    return _question(visit, chosen, change, found, killers if ids else None)


def _changed(visit: Visit, change: BulkChange, ids: Sequence[str]) -> Done:
    details = dict(selection_of(dict(visit.form)).given)
    if change.asked is not None:
        details[change.asked.name] = f"{number_of(visit, change):g}"
    count, changed = make(visit, change, ids)
    return Done("/jobs", change.notice if count else "unchanged", count, changed, details)


def _question(
    visit: Visit, chosen: Selection, change: BulkChange, found: ChosenIds, killers: int | None
) -> Page:
    """Return the page that asks; `killers` is None for jobs that were chosen by a filter."""
    by_id = killers is not None
    count = len(found.ids)
    label = f"{change.label} {counted(count, 'job')}"
    facts = [
        tag("div", tag("dt", name.capitalize()), tag("dd", clipped(value)))
        for name, value in {**chosen.given, **_error(visit, chosen)}.items()
    ]
    most = f"There may be more: at most {MOST_CHANGED:,} are changed at once, the newest found."
    if change.name != "reschedule":  # which would take the same ones again
        most += " Do it again for the others."
    back = visit.root + visit.back("/jobs")
    kept = [tag("input", type="hidden", name="id", value=one) for one in found.ids if by_id]
    confirm = tag(
        "form",
        hidden(**chosen.given, action=change.name, confirmed="yes", back=visit.back("/jobs")),
        kept,
        _field(change),
        tag("button", label, type="submit", class_="danger" if change.grave else "main"),
        tag("a", "Leave them", href=back, class_="button"),
        method="post",
        action=visit.url("/bulk"),
        class_="actions",
    )
    said = "They fit now; those that come to fit before you answer are taken, too."
    grave = "What is dropped is gone: arguments, results, history and log."
    body = joined(
        None if by_id else tag("p", said),
        tag("p", grave, class_="warning") if change.grave else None,
        tag("p", _taken_down(killers), class_="warning") if killers else None,
        tag("dl", facts, class_="facts"),
        tag("p", most, class_="warning") if not found.whole else None,
        confirm if count else tag("p", tag("a", "No job fits. Back to the list", href=back)),
    )
    return Page(f"{label}?", tag("section", body, class_="card"))


def _taken_down(jobs: int) -> str:
    took = f"{jobs:,} of these jobs took down"
    return f"{took} several workers, and may take down the next ones with what else runs there."


def _field(change: BulkChange) -> Html | None:
    asked = change.asked
    if asked is None:
        return None
    field = tag(
        "input",
        type="number",
        id=asked.name,
        name=asked.name,
        min=int(asked.least),
        max=int(asked.most),
        step=1,
        required=True,
    )
    return tag("p", tag("label", asked.label, for_=asked.name), " ", field)


def _error(visit: Visit, chosen: Selection) -> dict[str, str]:
    """Return the error of the group of failures in words: its key says nothing to people."""
    if not chosen.error:
        return {}
    groups = visit.site.failures.get().groups
    named = (f"{one.error} {one.message}" for one in groups if one.key == chosen.error)
    return {"error": next(named, "of one group of failures")}


def _killers(visit: Visit, change: BulkChange, ids: Sequence[str]) -> int:
    """Return how many of the jobs would run again though their workers died of them."""
    if change.name != "retry":
        return 0
    records = map(visit.site.store.get, ids[:MOST_ASKED])
    return sum(record is not None and lost_its_workers(record.failure) for record in records)
