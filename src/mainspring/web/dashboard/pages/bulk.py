"""Changes of many jobs at once: those that are named, or those that fit, with a count first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.upkeep.batches import in_batches
from mainspring.model.counted import counted
from mainspring.model.job import JobState
from mainspring.web.dashboard.html import joined, tag
from mainspring.web.dashboard.selection import selection_of
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import clipped, hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.web.dashboard.selection import ChosenIds, Selection
    from mainspring.web.dashboard.visit import Visit

MOST_CHANGED = 10_000
"""Jobs that one change takes; of more, it is made again."""

RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED})
CANCELLED = frozenset({JobState.PENDING, JobState.RUNNING})


def bulk(visit: Visit) -> Page | Done:
    """Change the jobs that are named, or that fit the filter; the latter after a question."""
    action = visit.field("action")
    if action not in {"retry", "cancel"}:
        raise Refusal(400, f"There is no action {action!r}; the actions are retry and cancel.")
    ids = list(dict.fromkeys(visit.fields("id")))
    if ids:
        return _changed(visit, action, ids[:MOST_CHANGED])
    chosen = selection_of(dict(visit.form))
    if chosen.state not in (RETRIED if action == "retry" else CANCELLED):
        states = "failed or cancelled" if action == "retry" else "pending or running"
        raise Refusal(400, f"Choose jobs by their boxes, or all of a state that fits: {states}.")
    found = chosen.ids(visit.site, MOST_CHANGED)
    if ("confirmed", "yes") in visit.form:
        return _changed(visit, action, found.ids)
    return _question(visit, chosen, action, found)


def _changed(visit: Visit, action: str, ids: Sequence[str]) -> Done:
    change = visit.site.store.retry if action == "retry" else visit.site.store.cancel
    changed: list[str] = []
    for batch in in_batches(ids):
        changed += [one for one, done in zip(batch, change(batch), strict=True) if done]
    done = "retried" if action == "retry" else "cancelled"
    chosen = selection_of(dict(visit.form)).given
    return Done("/jobs", done if changed else "unchanged", len(changed), changed, chosen)


def _question(visit: Visit, chosen: Selection, action: str, found: ChosenIds) -> Page:
    count = len(found.ids)
    label = f"{action.capitalize()} {counted(count, 'job')}"
    given = {name: value for name, value in chosen.given.items() if name != "error"}
    facts = [
        tag("div", tag("dt", name.capitalize()), tag("dd", clipped(value)))
        for name, value in given.items()
    ]
    most = f"There may be more: at most {MOST_CHANGED:,} are changed at once, the newest found."
    back = visit.url("/jobs", **chosen.given)
    confirm = tag(
        "form",
        hidden(**chosen.given, action=action, confirmed="yes", back=_back(visit)),
        tag("button", label, type="submit", class_="main"),
        tag("a", "Leave them", href=back, class_="button"),
        method="post",
        action=visit.url("/bulk"),
        class_="actions",
    )
    body = joined(
        tag("p", "So many fit now. What comes to fit before you answer is taken, too."),
        tag("dl", facts, class_="facts"),
        tag("p", most, class_="warning") if not found.whole else None,
        confirm if count else tag("p", tag("a", "No job fits. Back to the list", href=back)),
    )
    return Page(f"{label}?", tag("section", body, class_="card"))


def _back(visit: Visit) -> str:
    return next((value for name, value in visit.form if name == "back"), "/jobs")
