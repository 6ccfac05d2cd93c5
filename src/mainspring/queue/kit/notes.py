"""Notes of bodies with the time of the test's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.note import Note
    from mainspring.queue.kit.clock import MovedClock
    from mainspring.queue.kit.store import PrivateStore


class ClockedNotes:
    """Keeps notes in the store as if they had been made now: a body says its lines in no time."""

    def __init__(self, store: PrivateStore, clock: MovedClock) -> None:
        self._store = store
        self._clock = clock

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep notes."""
        now = self._clock.monotonic()
        self._store.note_many(
            [replace(note, lines=tuple((now, text) for _, text in note.lines)) for note in notes]
        )
