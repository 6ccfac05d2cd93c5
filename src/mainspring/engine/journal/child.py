"""The journal of a child process: notes of its bodies go to the parent while they run."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.journal.writer import JournalWriter, encode_notes
from mainspring.processes import program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Claim
    from mainspring.model.note import Note


class ForwardedNotes:
    """Sends the parent the notes of a claim's body in the block, all of them by its end.

    No `contextmanager`: that takes longer than the rest of it.
    """

    __slots__ = ("_claim",)

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __enter__(self) -> None:
        _journal().begin(self._claim.key, self._claim.fence)

    def __exit__(self, *_: object) -> None:
        journal = _journal()
        journal.end(self._claim.key, self._claim.fence)
        if not journal.settled:
            journal.flush()


class _ParentSink:
    """The connection to the parent."""

    def note_many(self, notes: Sequence[Note]) -> None:
        """Send them."""
        program.send_note(encode_notes(notes))


class _FlushThread:
    """Flushes when it was planned, in a thread that starts with the first note."""

    def __init__(self) -> None:
        self.journal = JournalWriter(_ParentSink(), self.plan)
        self._at = 0.0
        self._planned = threading.Event()
        self._thread: threading.Thread | None = None

    def plan(self, at: float) -> None:
        """Flush at that moment."""
        self._at = at
        self._planned.set()
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="mainspring-journal", daemon=True)
            # A system that has no thread to give: then all is sent at the end.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while self._planned.wait():
            self._planned.clear()
            time.sleep(max(0.0, self._at - monotonic()))
            self.journal.flush()


@cache
def _journal() -> JournalWriter:
    return _FlushThread().journal
