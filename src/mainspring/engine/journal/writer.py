"""Progress and log lines of bodies, on their way to the store: one note an attempt, in batches.

A body pays for a place in memory; the store is written to at most every `FLUSH_SECONDS` for all
attempts together, and before the outcome of an attempt that has something unwritten. What can't be
written is kept for the next try, within bounds, and fails no job.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

import msgspec

from mainspring.clock import monotonic
from mainspring.engine.journal.buffer import NoteBuffer, note_buffer, size_of
from mainspring.errors import StoreError
from mainspring.model.note import Note
from mainspring.stores.ownership import let_go

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.telemetry.job_events import JobEvents

FLUSH_SECONDS = 0.1
REST_FACTOR = 4.0
"""Pause after a flush, in times of what it took: others write to the store, too."""

MOST_BYTES = 16_000_000
"""Bytes kept, about, for a store that can't be written to; then the oldest notes go."""

_MOST_NOTES = 256
_MOST_LINES = 1_000
"""Most notes and lines of one transaction, so that nobody waits long for its end."""

encode_notes = msgspec.msgpack.Encoder().encode
_decode_notes = msgspec.msgpack.Decoder(list[Note]).decode


class NoteSink(Protocol):
    """Destination of notes: a store, or a child's connection to its parent."""

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep them."""
        ...


class SlotNotes(Protocol):
    """Notes which slot begins which attempt; another `note` may come in the place of the first."""

    note: Callable[[int, int, int], None]


class PublishingSink:
    """Hands notes to another sink, and publishes them as events; `claim_of` finds a note's job."""

    def __init__(
        self, sink: NoteSink, events: JobEvents, claim_of: Callable[[int, int], Claim | None]
    ) -> None:
        self._sink = sink
        self._events = events
        self._claim_of = claim_of

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep them, then publish them."""
        self._sink.note_many(notes)
        if self._events.feed.wanted:
            self._events.noted(notes, self._claim_of)


class JournalWriter:
    """The notes of the attempts that run here, written in batches. Thread-safe.

    `plan` is called with the moment (monotonic) at which `flush` is to be called; not again before
    that has happened.
    """

    def __init__(self, sink: NoteSink, plan: Callable[[float], None]) -> None:
        self._sink = sink
        self._plan = plan
        self._lock = threading.RLock()
        # Later notes must not reach the store before earlier ones.
        self._writing = threading.Lock()
        self._buffers: dict[Grant, NoteBuffer] = {}
        self._ended: dict[Grant, NoteBuffer] = {}
        self._marked: list[NoteBuffer] = []
        self._planned = False
        self._rests_until = 0.0

    def begin(self, key: int, fence: int) -> None:
        """Open a buffer for the body that begins in the calling thread or coroutine."""
        grant = key, fence
        fresh = self._buffers[grant] = NoteBuffer(grant, self._mark)
        note_buffer.set(fresh)

    def end(self, key: int, fence: int) -> None:
        """Close the buffer: notes of a body after its attempt's end are dropped."""
        grant = key, fence
        over = self._buffers.pop(grant, None)
        if over is not None:
            over.over = True
            if over.marked:
                self._ended[grant] = over

    def begin_after(self, board: SlotNotes) -> Callable[[int, int, int], None]:
        """Return `board.note(slot, key, fence)`, with a `begin` after it."""
        # `begin`, spelled out: each attempt passes here.
        buffers, mark, turn_to = self._buffers, self._mark, note_buffer.set

        def begin(slot: int, key: int, fence: int) -> None:
            board.note(slot, key, fence)
            grant = key, fence
            fresh = buffers[grant] = NoteBuffer(grant, mark)
            turn_to(fresh)

        return begin

    def end_before(self, done: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
        """Return `done(outcome)`, with an `end` before it."""
        # `end`, spelled out as well.
        buffers, ended = self._buffers, self._ended

        def end_then_done(outcome: Outcome) -> None:
            grant = outcome.key, outcome.fence
            over = buffers.pop(grant, None)
            if over is not None:
                over.over = True
                if over.marked:
                    ended[grant] = over
            done(outcome)

        return end_then_done

    @property
    def settled(self) -> bool:
        """True if all notes are written."""
        # In this order: who flushes takes the buffers when it holds the lock.
        return not self._marked and not self._writing.locked()

    def receive(self, encoded: bytes) -> None:
        """Add notes from a child. Bytes of any other kind are a body's own, and passed over."""
        with contextlib.suppress(msgspec.MsgspecError):
            for note in _decode_notes(encoded):
                if (of := self._buffers.get((note.key, note.fence))) is not None:
                    of.absorb(note)

    def flush(self) -> None:
        """Write all notes. What the store can't take now is kept, and its error raised.

        A note that the store refuses for what it is goes, and the error is raised.
        """
        with self._writing:
            began = monotonic()
            with self._lock:
                buffers, self._marked = self._marked, []
                self._planned = False
            try:
                self._write(buffers)
            finally:
                ended = monotonic()
                self._rests_until = ended + REST_FACTOR * (ended - began)

    def flush_of(self, outcomes: Sequence[Outcome]) -> None:
        """Write the notes of these outcomes' attempts; never raises, whatever the store does."""
        if not self._ended and not self._writing.locked():
            return
        with self._writing:
            buffers = [self._ended.pop((one.key, one.fence), None) for one in outcomes]
            # It is kept for the next flush, which says what is wrong.
            with contextlib.suppress(Exception):
                self._write([one for one in buffers if one is not None])

    def _mark(self, buffer: NoteBuffer) -> None:
        # In a body, which an exception can be thrown into at any step. What is noted last is that
        # it is done: who comes next does it again.
        try:
            with self._lock:
                if buffer.marked:
                    return
                self._plan_flush()
                self._marked.append(buffer)
                buffer.marked = True
        finally:
            let_go(self._lock)

    def _plan_flush(self) -> None:
        if not self._planned:
            self._plan(max(monotonic() + FLUSH_SECONDS, self._rests_until))
            self._planned = True

    def _write(self, buffers: Iterable[NoteBuffer]) -> None:
        # One that has no mark was written with its outcome.
        waiting = [(one, one.take()) for one in buffers if one.marked]
        refused: Exception | None = None
        while waiting:
            # After a refusal one by one, so that it costs nobody else's.
            batch = waiting[: 1 if refused else _fitting(waiting)]
            try:
                self._sink.note_many([note for _, note in batch])
            except StoreError:
                self._keep(waiting)
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it is raised below
                refused, first = error, refused
                if first is None and len(batch) > 1:
                    continue
            del waiting[: len(batch)]
        self._sweep()
        if refused is not None:
            raise refused

    def _keep(self, waiting: list[tuple[NoteBuffer, Note]]) -> None:
        room, first = MOST_BYTES, len(waiting)
        while first and (room := room - size_of(waiting[first - 1][1])) >= 0:
            first -= 1
        for one, note in waiting[first:]:
            one.put_back(note)
        with self._lock:
            kept = [one for one, _ in waiting[first:]]
            for one in kept:
                one.marked = True
            # Before all that was said since: what is oldest goes first.
            self._marked[:0] = kept
            self._plan_flush()

    def _sweep(self) -> None:
        """Forget the buffers of ended attempts that have nothing more to write."""
        for grant, one in list(self._ended.items()):
            if not one.marked:
                self._ended.pop(grant, None)


def _fitting(waiting: list[tuple[NoteBuffer, Note]]) -> int:
    lines = 0
    for count, (_, note) in enumerate(waiting[:_MOST_NOTES]):
        lines += len(note.lines)
        if lines > _MOST_LINES:
            return max(count, 1)
    return min(len(waiting), _MOST_NOTES)
