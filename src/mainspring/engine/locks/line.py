"""The requests of this process for locks, by name: who holds, who waits, and what to ask for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mainspring.engine.locks.request import LockRequest, LockState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class LockLines:
    """Knows neither store nor threads: its user holds a lock around each change."""

    def __init__(self) -> None:
        self.held: dict[str, LockRequest] = {}
        self.waiting: dict[str, deque[LockRequest]] = {}
        self.to_ask: dict[str, None] = {}
        """Names to ask the store for, in order."""
        self.to_release: deque[LockRequest] = deque()
        self._unanswered: set[str] = set()
        """Names that the store was asked for: it may have given them in an answer that was lost."""

    @property
    def busy(self) -> bool:
        """True if there is something to say to the store."""
        return bool(self.to_ask or self.to_release)

    @property
    def idle(self) -> bool:
        """True if nothing is held, waited for, or to be said to the store."""
        return not (self.held or self.waiting or self.busy)

    def add(self, request: LockRequest) -> None:
        """Let a request wait in its line."""
        request.declined = request.name in self.held or request.name in self.waiting
        self.waiting.setdefault(request.name, deque()).append(request)
        self.ask([request.name])

    def ask(self, names: Iterable[str]) -> None:
        """Ask the store for these, if they are waited for and nobody here has them.

        Not before it knows of the end of who had one: it would give the next the same fence, and
        free the lock under it by that end.
        """
        ours = self.held.keys() | {request.name for request in self.to_release}
        wanted = [name for name in names if name in self.waiting and name not in ours]
        self.to_ask.update(dict.fromkeys(wanted))

    def ask_unless(self, taken: Collection[str]) -> None:
        """Ask the store for all that is waited for, but for these."""
        self.ask([name for name in self.waiting if name not in taken])

    def begins_to_ask(self, name: str) -> bool:
        """Return True if the store is to be asked for a name; it stays among those until then."""
        if name not in self.waiting and name not in self._unanswered:
            self.to_ask.pop(name, None)
            return False
        self._unanswered.add(name)
        return True

    def answered(self, name: str, fence: int | None) -> list[LockRequest]:
        """Apply the store's answer; return those whom it concerns."""
        self._unanswered.discard(name)
        self.to_ask.pop(name, None)
        line = self.waiting.get(name)
        if fence is None:
            declined = [request for request in line or () if not request.declined]
            for request in declined:
                request.declined = True
            return declined
        return self._granted(name, fence, line)

    def _granted(self, name: str, fence: int, line: deque[LockRequest] | None) -> list[LockRequest]:
        if not line:
            # Nobody wants it any more.
            unwanted = LockRequest(name, _notify_nobody)
            unwanted.fence = fence
            self._drop_empty(name)
            self.to_release.append(unwanted)
            return []
        request = line.popleft()
        request.fence = fence
        self._drop_empty(name)
        self.held[name] = request
        request.become(LockState.HELD)
        return [request]

    def end(self, request: LockRequest) -> None:
        """End a request; harmless when done twice."""
        was = request.state
        if was is LockState.HELD and self.held.get(request.name) is request:
            self.to_release.append(request)
            del self.held[request.name]
        elif was is LockState.WAITING:
            if request in (line := self.waiting.get(request.name, deque())):
                line.remove(request)
            # It may be empty also because an exception came as the line was begun.
            self._drop_empty(request.name)
            request.free()
        if was in (LockState.HELD, LockState.WAITING):
            request.become(LockState.ENDED)

    def released(self, request: LockRequest) -> None:
        """Note that the store has freed the lock of a request; who waits here asks for it next."""
        if request in self.to_release:
            self.to_release.remove(request)
        request.free()
        self.ask([request.name])

    def lose(self) -> list[LockRequest]:
        """Lose all that is held; return it. Who waits asks again."""
        lost, self.held = list(self.held.values()), {}
        freed, self.to_release = self.to_release, deque()
        for request in lost:
            request.become(LockState.LOST)
        for request in (*lost, *freed):
            request.free()
        self._unanswered.clear()
        self.to_ask = dict.fromkeys(self.waiting)
        return lost

    def refuse(self, error: Exception) -> list[LockRequest]:
        """End the wait of all who wait; return them."""
        refused = [request for line in self.waiting.values() for request in line]
        self.waiting, self.to_ask = {}, dict.fromkeys(self._unanswered)
        for request in refused:
            request.error = error
            request.become(LockState.REFUSED)
            request.free()
        return refused

    def is_owned_by(self, name: str, owner: object) -> bool:
        """Return whether that owner has the lock already, and would wait for itself."""
        holder = self.held.get(name)
        return holder is not None and owner is not None and holder.owner == owner

    def _drop_empty(self, name: str) -> None:
        if not self.waiting.get(name, True):
            del self.waiting[name]


def _notify_nobody(request: LockRequest) -> None:
    """Do nothing: nobody waits."""
