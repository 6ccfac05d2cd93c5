"""Notes on their way to the store that subscribers are told of when it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.engine.journal.writer import NoteSink
    from mainspring.model.job import Claim
    from mainspring.model.note import Note
    from mainspring.telemetry.job_events import JobEvents


class ToldNotes:
    """A sink that hands notes to another, and tells of them; `claim_of` finds a note's job."""

    def __init__(
        self, sink: NoteSink, events: JobEvents, claim_of: Callable[[int, int], Claim | None]
    ) -> None:
        self._sink = sink
        self._events = events
        self._claim_of = claim_of

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep them, then tell of them."""
        self._sink.note_many(notes)
        if self._events.feed.wanted:
            self._events.noted(notes, self._claim_of)
