"""Progress and log lines of one attempt, until they are written. Knows nothing of stores.

A note takes no lock: a body may report progress a hundred thousand times a second. The value
is set before the buffer is marked, and the mark is taken off before the value is read; so whatever
comes too late for one writing is in the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable  # the type of a Struct's field
from contextvars import ContextVar
from threading import RLock
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.clock import monotonic
from mainspring.model.job import Grant  # the type of a Struct's field
from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, Note
from mainspring.stores.ownership import let_go

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUFFER_SIZE = 500
_LINE_SIZE = 150
"""Bytes that a buffer and a line take by themselves."""


_making = RLock()


class NoteBuffer(Struct, eq=False):
    """The notes of one attempt; `mark` is called when there is something to write."""

    grant: Grant
    mark: Callable[[NoteBuffer], None]
    marked: bool = False
    over: bool = False
    last: float | None = None
    message: str | None = None
    lines: deque[tuple[float, str]] | None = None

    def progress(self, progress: float, message: str | None) -> None:
        """Note how far the attempt is."""
        if self.over:
            return
        self.last = progress
        if message is not None:
            self.message = message[:LINE_CHARACTERS]
        if not self.marked:
            self.mark(self)

    def log(self, text: str) -> None:
        """Add a line."""
        if not self.over:
            self._add(((monotonic(), text[:LINE_CHARACTERS]),))

    def absorb(self, note: Note) -> None:
        """Add a note that the attempt made in another process."""
        if self.over:
            return
        if note.progress is not None:
            self.progress(note.progress, note.message)
        if note.lines:
            self._add(note.lines)

    def take(self) -> Note:
        """Remove the mark, and return what is to be written."""
        self.marked = False
        message = None if self.message is None else _storable(self.message)
        lines = self.lines
        if not lines:
            return Note(*self.grant, self.last, message)
        storable = tuple((at, _storable(text)) for at, text in _drain(lines))
        return Note(*self.grant, self.last, message, storable)

    def put_back(self, note: Note) -> None:
        """Put back the lines that were taken; progress and message were kept."""
        if note.lines:
            lines = self._own_lines()
            lines.extendleft(note.lines[::-1])
            _shorten(lines)

    def _add(self, lines: Iterable[tuple[float, str]]) -> None:
        own = self._own_lines()
        own.extend(lines)
        _shorten(own)
        if not self.marked:
            self.mark(self)

    def _own_lines(self) -> deque[tuple[float, str]]:
        if self.lines is None:
            # Two threads of one body must not make two of them; an exception can come at any step.
            try:
                with _making:
                    self.lines = deque() if self.lines is None else self.lines
            finally:
                let_go(_making)
        return self.lines


note_buffer: ContextVar[NoteBuffer] = ContextVar("mainspring_notes")
"""The notes of the body in this thread or coroutine: set for every stored job."""


def size_of(note: Note) -> int:
    """Return roughly what a note takes in memory, in bytes."""
    return _BUFFER_SIZE + sum(_LINE_SIZE + len(text) for _, text in note.lines)


def _drain(lines: deque[tuple[float, str]]) -> list[tuple[float, str]]:
    drained: list[tuple[float, str]] = []
    try:
        # Not until it is empty: a body that never stops would never let go.
        for _ in range(len(lines)):
            drained.append(lines.popleft())  # noqa: PERF401  # what is out must not be lost
    except IndexError:
        pass  # the body has shortened it meanwhile
    return drained


def _shorten(lines: deque[tuple[float, str]]) -> None:
    try:
        while len(lines) > MOST_LINES:
            lines.popleft()
    except IndexError:
        return  # another thread has taken them


def _storable(text: str) -> str:
    # Lone surrogates (from file names, for one) are no UTF-8, and no store takes them.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
