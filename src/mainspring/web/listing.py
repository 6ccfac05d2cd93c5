"""One page of tasks that are all at hand, and the cursor that leads to the next."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mainspring.web.port import Refused, TaskPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.web.port import TaskView


def page_of(views: Sequence[TaskView], limit: int, cursor: str | None) -> TaskPage:
    """Return up to `limit` tasks after the cursor, and the next cursor if there are more."""
    rest = views if cursor is None else _after(views, cursor)
    taken = list(rest[:limit])
    return TaskPage(taken, _cursor(taken[-1]) if len(rest) > limit else None)


def _cursor(view: TaskView) -> str:
    text = f"{view.created_at.isoformat()} {view.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _after(views: Sequence[TaskView], cursor: str) -> Sequence[TaskView]:
    created_at, task_id = _read(cursor)
    for number, view in enumerate(views):
        if view.id == task_id:
            return views[number + 1 :]
    # Its task is forgotten: what is older comes next.
    return [view for view in views if view.created_at < created_at]


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        moment, _, task_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        # Astimezone, so that a moment without a zone can be compared as well.
        created_at = datetime.fromisoformat(moment).astimezone(UTC)
    except (binascii.Error, ValueError, OverflowError) as error:
        detail = "it is none of ours; take next_cursor of the page before"
        raise Refused(422, "invalid", detail, "cursor") from error
    return created_at, task_id
