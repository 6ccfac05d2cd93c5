"""The threads of a pool that have nothing to do: they sleep until they are woken.

One of them, the leader, sleeps only to the first moment of the timers, so that nobody else need
wake for it. Used under the lock of the pool.
"""

from __future__ import annotations

from itertools import islice, repeat
from typing import TYPE_CHECKING

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Lock

IDLE_LIFE = 10.0
"""Seconds that a thread waits for a call before it ends."""


class IdleThreads:
    """Locks that idle threads wait at, each at its own; to release one wakes its thread."""

    __slots__ = ("_gates", "_newest", "_until", "leader")

    def __init__(self) -> None:
        self._gates: list[Lock] = []
        # Its one step takes a gate and puts it elsewhere: no exception can lose it in between.
        self._newest = map(list.pop, repeat(self._gates))
        self.leader: Lock | None = None
        """Read by every call."""
        self._until = 0.0  # when the leader wakes by itself

    def __len__(self) -> int:
        """Return how many are idle."""
        return len(self._gates) + (self.leader is not None)

    def add(self, gate: Lock, moments: Sequence[float]) -> None:
        """Add a thread, as the leader if there is none to sleep to the first of `moments`."""
        if self.leader is not None or not moments:
            self._gates.append(gate)
        else:
            self.leader, self._until = gate, moments[0]

    def seconds(self, gate: Lock) -> float:
        """Return how many seconds a thread should wait at its gate; harmless without the lock."""
        return max(self._until - monotonic(), 0.0) if gate is self.leader else IDLE_LIFE

    def remove(self, gate: Lock) -> bool:
        """Remove a thread that waited long enough; False: it has been woken meanwhile."""
        if gate is self.leader:
            self.leader = None
        elif gate in self._gates:
            self._gates.remove(gate)
        else:
            # Opened by who has woken it, unless an exception came to him just before.
            gate.acquire(blocking=False)
            return False
        return True

    def wake_one(self) -> bool:
        """Wake a thread, the leader last; False: none is idle."""
        if self._gates:
            taken: list[Lock] = []
            try:
                taken.extend(islice(self._newest, 1))
            finally:
                for gate in taken:
                    gate.release()
            return True
        return self.wake_leader()

    def wake_leader(self, sleeping_past: float = 0.0) -> bool:
        """Wake the leader if it sleeps past a moment; return whether it did."""
        if self.leader is None or self._until <= sleeping_past:
            return False
        leader, self.leader = self.leader, None
        leader.release()
        return True

    def wake_all(self) -> None:
        """Wake every thread."""
        while self.wake_one():
            pass
