"""Fronts: places in line before which no job waits, as far as the last claims have seen.

What was claimed leaves its entries in the index until the server has cleaned it, once a minute or
so. A claim that reads the line from its beginning steps over all of them: the longer a drain has
lasted, the dearer each claim. So who claims many at a time goes on where it began the last time,
and reads the whole line only so often: a more urgent job that has come since waits that long at
most, as it does for the jobs that a worker has taken ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mainspring.clock import monotonic
from mainspring.stores.sql.lanes import LOWEST

if TYPE_CHECKING:
    from mainspring.model.job import Want

WHOLE_SECONDS = 0.05
"""Seconds after which the whole line is read again: as far as the engine claims ahead."""

MANY = 100
"""Claims that an answer brings at least for the next one to go on from there."""


class JobPlace(NamedTuple):
    """The place of a job in line."""

    priority: int
    run_at: int
    key: int


BEGINNING = JobPlace(LOWEST, LOWEST, LOWEST)
"""Before all jobs."""


class Front(NamedTuple):
    """A place before which nothing waited when the whole line was read, at `read_at`."""

    place: JobPlace
    read_at: float


class Fronts:
    """The fronts of a process, by the tasks and queues that are asked for. Thread-safe."""

    def __init__(self) -> None:
        self._fronts: dict[tuple[object, object], Front] = {}

    def of(self, want: Want) -> JobPlace:
        """Return where a claim may begin to read."""
        front = self._fronts.get((want.tasks, want.queues))
        if front is None or monotonic() - front.read_at > WHOLE_SECONDS:
            return BEGINNING
        return front.place

    def note(self, want: Want, read_from: JobPlace, first: JobPlace | None, claims: int) -> None:
        """Note what a claim brought that began to read at `read_from`: `first` and how many."""
        wanted = want.tasks, want.queues
        if first is None or claims < max(want.limit, MANY):
            self._fronts.pop(wanted, None)
        elif read_from == BEGINNING:
            self._fronts[wanted] = Front(first, monotonic())
        elif (known := self._fronts.get(wanted)) is not None:
            self._fronts[wanted] = Front(first, known.read_at)
