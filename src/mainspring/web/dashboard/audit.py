"""Changes from the dashboard, as the audit log has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.queue.audit import note_change
from mainspring.web.dashboard.redaction import HIDDEN

if TYPE_CHECKING:
    from mainspring.web.dashboard.visit import Done, Visit

VIA = "dashboard"
NAMING = ("queue", "schedule")
"""Fields of a form that name what is changed."""

UNCHANGED = "unchanged"


def note(visit: Visit, action: str, done: Done) -> None:
    """Write down a change that was made; of nothing it writes nothing.

    A text that was searched for may be a value that is hidden.
    """
    if done.notice == UNCHANGED:
        return
    details = dict(done.details)
    if "search" in details and visit.site.redaction.names:
        details["search"] = HIDDEN
    if visit.host:
        details["from"] = visit.host
    named = [value for name, value in visit.form if name in NAMING]
    note_change(
        visit.site.store,
        actor=visit.user,
        via=VIA,
        action=f"{action} {visit.field('action')}" if action == "jobs" else action,
        targets=done.targets or ([visit.job_id] if visit.job_id else named),
        count=done.count,
        details=details,
    )
