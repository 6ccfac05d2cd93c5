"""A cheap look for commits since the last one. Knows no tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mainspring.clock import wall_clock_ns

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLED_NANOSECONDS = 50_000_000
"""A log written to since less than this may be written to again without a change of its time."""


class CommitLook:
    """Looks at the log's time first, since each commit writes to the log, and asks SQLite then.

    A hundred idle looks cost a third so; SQLite takes locks to answer.
    """

    def __init__(self, log: str, version: Callable[[], int]) -> None:
        self._log = log
        self._version = version
        self._written_at: int | None = None
        self._seen = version()

    def changed(self) -> bool:
        """Return whether there may have been a commit since the last look."""
        written_at = self._time_of_log()
        if written_at is not None and written_at == self._written_at:
            return False
        # Only a time that no later commit can share tells anything at the next look.
        settled = written_at is not None and wall_clock_ns() - written_at > SETTLED_NANOSECONDS
        self._written_at = written_at if settled else None
        before, self._seen = self._seen, self._version()
        return self._seen != before

    def _time_of_log(self) -> int | None:
        try:
            return os.stat(self._log).st_mtime_ns  # noqa: PTH116  # ten times a second
        except FileNotFoundError:
            return None
