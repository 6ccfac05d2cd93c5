"""The records of one life of a pool: found by id, listed, and forgotten in time."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.errors import DuplicateTaskError
from mainspring.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.pool.record import Record


class Records:
    """Every pending and running record, and those that ended not long ago.

    `retention` is seconds, `most` a number: what ended is forgotten by whichever comes first.
    """

    def __init__(self, retention: float, most: float) -> None:
        self._retention = retention
        self._most = most
        self._by_id: dict[str, Record] = {}
        self._ended: deque[Record] = deque()
        self._completed = self._failed = self._cancelled = 0

    def totals(self) -> dict[str, int]:
        """Return how many have ended, by how."""
        return {
            "completed": self._completed,
            "failed": self._failed,
            "cancelled": self._cancelled,
        }

    def check_free(self, task_id: str, *, replace: bool) -> None:
        """Raise DuplicateTaskError if the id is taken; `replace` allows one that has finished."""
        known = self.get(task_id)
        if known is not None and not (replace and known.final):
            raise DuplicateTaskError(task_id, known.state)

    def add(self, record: Record) -> None:
        """Keep a new record, in the place of a finished one with its id."""
        # Out first: a key that stays in place would be listed where the old one was.
        self._by_id.pop(record.id, None)
        self._by_id[record.id] = record

    def get(self, task_id: str) -> Record | None:
        """Return the record of that id, None if there is none (any more)."""
        if self._ended:
            self._forget_old(monotonic())
        return self._by_id.get(task_id)

    def note_end(self, record: Record) -> None:
        """Note that a record has ended."""
        # No dict by state: an enum's hash is computed in Python, and this is the way of every task.
        if record.state is JobState.COMPLETED:
            self._completed += 1
        elif record.state is JobState.FAILED:
            self._failed += 1
        else:
            self._cancelled += 1
        ended = self._ended
        ended.append(record)
        if len(ended) > self._most or ended[0].over <= record.over - self._retention:
            self._forget_old(record.over)

    def newest(self, *, state: JobState | None, before: float, limit: int | None) -> list[Record]:
        """Return records newest first: of one state, and created before a moment."""
        self._forget_old(monotonic())
        found = (
            record
            for record in reversed(self._by_id.values())
            if (state is None or record.state is state) and record.created <= before
        )
        return list(islice(found, limit))

    def unfinished(self) -> Iterator[Record]:
        """Return those that have not ended."""
        return iter([record for record in self._by_id.values() if not record.final])

    def _forget_old(self, now: float) -> None:
        ended, old = self._ended, now - self._retention
        while ended and (len(ended) > self._most or ended[0].over <= old):
            record = ended.popleft()
            # Its id may be another's by now.
            if self._by_id.get(record.id) is record:
                del self._by_id[record.id]
