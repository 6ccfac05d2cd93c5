"""Server-sent events of one task: its state, its progress, its result.

An event's id says what the client has seen, so that one who comes back with it as `Last-Event-ID`
gets only what is new. A client that reads slowly, or never, holds up its own stream alone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from mainspring.clock import monotonic
from mainspring.model.job import FINAL, JobState
from mainspring.web.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mainspring.web.port import TaskPort, TaskView

LOOK_SECONDS = 0.2
"""Interval at which progress and message are read; an end is sent at once."""

ALIVE_SECONDS = 15.0
"""Longest silence of a stream; proxies would take a longer one for its end."""

RETRY = "retry: 1000\n\n"


def mark_of(view: TaskView) -> str:
    """Return the id of the event that tells of this moment."""
    if view.status in FINAL:
        return "end"
    said = f"-{crc32(view.message.encode(errors='replace')):08x}" if view.message else ""
    return f"{view.status.value}-{round(view.progress * 1000)}{said}"


async def events_of(
    port: TaskPort, task_id: str, seen: str | None, body: Callable[[TaskView], object]
) -> AsyncIterator[str]:
    """Yield events from now until the task has ended, or is forgotten."""
    yield RETRY
    sent: JobState | None = None
    alive = monotonic()
    while (view := await _look(port, task_id)) is not None:
        mark = mark_of(view)
        if mark != seen:
            yield _event(_kind(view, sent), mark, body(view))
            seen, alive = mark, monotonic()
        sent = view.status
        if view.status in FINAL:
            return
        if monotonic() - alive > ALIVE_SECONDS:
            yield ": alive\n\n"
            alive = monotonic()
        await port.wait(task_id, LOOK_SECONDS)


async def _look(port: TaskPort, task_id: str) -> TaskView | None:
    # It has begun to answer: a client that is cut off connects again, and gets the status then.
    with suppress(Refused):
        return await port.get(task_id)
    return None


def _kind(view: TaskView, sent: JobState | None) -> str:
    if view.status in FINAL:
        return "result"
    return "state" if view.status is not sent else "progress"


def _event(kind: str, mark: str, body: object) -> str:
    return f"event: {kind}\nid: {mark}\ndata: {json.dumps(body)}\n\n"
