"""Progress and log lines that a body reports while it runs."""

from __future__ import annotations

from datetime import datetime  # the type of a Struct's field

from msgspec import Struct

MOST_LINES = 1_000
"""Lines kept of a job's log; of more, the last ones."""

LINE_CHARACTERS = 4_000
"""Characters kept of one line, and of the message of a progress."""


class Note(Struct, frozen=True, gc=False):
    """Progress and log lines of one attempt since the last note.

    `progress` (0 to 1) is None if it reported none; `lines` pair `time.monotonic()` of the node
    with a text.
    """

    key: int
    fence: int
    progress: float | None = None
    message: str | None = None
    lines: tuple[tuple[float, str], ...] = ()


class LogLine(Struct, frozen=True, gc=False):
    """A line of a job's log: when (aware UTC), and the number of its attempt in the history."""

    at: datetime
    number: int
    text: str
