"""Stacks of bodies that somebody wants to see: found in the store, answered in the jobs' logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.note import Note
from mainspring.model.stack_request import DEMAND_SECONDS, STACK, TITLE, requested_job
from mainspring.protocols import LocatingExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim
    from mainspring.protocols import Executor, JobStore

LONG_SECONDS = 1.0
"""Seconds that a body must have run for somebody to have asked about it."""

MOST_REQUESTS = 100


class StackDumps:
    """Answers the requests for bodies of one node. Reads nothing while no body runs for long."""

    def __init__(self, store: JobStore, executors: Callable[[], Sequence[Executor]]) -> None:
        self._store = store
        self._executors = executors
        self._answered: frozenset[int] = frozenset()

    def look(self) -> None:
        """Answer what was asked since the last look."""
        executors = self._executors()
        if not any(monotonic() - one.load().began > LONG_SECONDS for one in executors):
            return
        found = self._store.entries(STACK, newer_than=DEMAND_SECONDS, limit=MOST_REQUESTS).entries
        asked = (requested_job(one.text) for one in found if one.key not in self._answered)
        wanted = {job_id for job_id in asked if job_id is not None}
        self._answered = frozenset(one.key for one in found)
        if wanted:
            self._answer(wanted, executors)

    def _answer(self, wanted: set[str], executors: Sequence[Executor]) -> None:
        bodies = [
            body
            for executor in executors
            if isinstance(executor, LocatingExecutor)
            for body in executor.whereabouts(wanted)
        ]
        if bodies:
            self._store.note_many([_note(claim, stack) for claim, stack in bodies])


def _note(claim: Claim, stack: str) -> Note:
    now = monotonic()
    lines = (TITLE, *(stack or "it has just ended").splitlines())
    return Note(claim.key, claim.fence, lines=tuple((now, line) for line in lines))
