"""The journal of a child process: what its bodies say goes to the parent while they run."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.journal.journal import Journal, encode_notes
from mainspring.processes import program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Claim
    from mainspring.model.note import Note


class Told:
    """Tells the parent what the body of a claim says in the block, all of it at its end.

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


class _Line:
    """Where notes go from here."""

    def note_many(self, notes: Sequence[Note]) -> None:
        """Send them."""
        program.tell(encode_notes(notes))


class _Courier:
    """Flushes when it was planned, in a thread that is started by the first to say something."""

    def __init__(self) -> None:
        self.journal = Journal(_Line(), self.plan)
        self._at = 0.0
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None

    def plan(self, at: float) -> None:
        """Flush at that moment."""
        self._at = at
        self._bell.set()
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="mainspring-journal", daemon=True)
            # A system that has no thread to give: then all is told at the end.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while self._bell.wait():
            self._bell.clear()
            time.sleep(max(0.0, self._at - monotonic()))
            self.journal.flush()


@cache
def _journal() -> Journal:
    return _Courier().journal
