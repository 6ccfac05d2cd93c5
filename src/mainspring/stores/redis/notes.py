"""Notes of bodies, as the script takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.note import LINE_CHARACTERS, MOST_LINES
from mainspring.stores.clock import MICROS

if TYPE_CHECKING:
    from mainspring.model.note import Note


def note_row(note: Note, monotonic: float) -> tuple[object, ...]:
    """Return a note as the script takes it; `monotonic` is the clock's time now."""
    lines = [
        (int((monotonic - at) * MICROS), text[:LINE_CHARACTERS])
        for at, text in note.lines[-MOST_LINES:]
    ]
    message = False if note.message is None else note.message[:LINE_CHARACTERS]
    return note.key, note.fence, False if note.progress is None else note.progress, message, lines
