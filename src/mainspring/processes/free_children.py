"""The children of a pool: ready ones, busy ones with their calls, and the calls that wait.

It knows nothing of how children start and end. As many are busy at once as the priority of a call
may use, though more may be ready: the rest are the spares, which only critical calls take. Calls
that wait are served by priority, those of one priority in order.

A call may be ended by an exception at any step. So whose a child is stands in one place, and is
changed in one step; what follows from that is done again by who gives a turn back.
"""

from __future__ import annotations

import threading
from bisect import insort
from operator import attrgetter
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mainspring.errors import NotRunning
from mainspring.supervision.threads.priority import TASK_NORMAL

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mainspring.processes.child import Child
    from mainspring.supervision.threads.priority import PoolSizes


class ChildTurn:
    """A caller's turn with a child, while it waits and while it has one; `key` names its call."""

    __slots__ = ("box", "key", "priority")

    def __init__(self, key: Hashable, priority: int = TASK_NORMAL) -> None:
        self.key = key
        self.priority = priority
        self.box: SimpleQueue[Child | Exception] | None = None


class FreeChildren:
    """The children of one pool that are past their start; all methods from any thread.

    `dismiss` takes a child that must not be asked again.
    """

    def __init__(
        self,
        name: str,
        sizes: PoolSizes,
        *,
        max_tasks: int | None,
        dismiss: Callable[[Child], None],
    ) -> None:
        self._name = name
        self._sizes = sizes
        self._max_tasks = max_tasks
        self._dismiss = dismiss
        self._lock = threading.RLock()  # a signal handler may make a call as well
        self._children: list[Child] = []  # who was asked last comes last
        self._busy: dict[ChildTurn, Child] = {}
        self._turns: list[ChildTurn] = []  # the most urgent first
        self._closed = False

    def counts(self) -> tuple[int, int, int]:
        """Return how many are ready and busy, and how many callers wait."""
        with self._lock:
            return len(self._ready), len(self._busy), len(self._turns)

    def take(self, turn: ChildTurn) -> Child:
        """Return a child; wait for one if none is free. `give_back` must follow, come what may."""
        with self._lock:
            if self._closed:
                raise self._closing()
            first = not self._turns or turn.priority < self._turns[0].priority
            if first and (child := self._child_for(turn)) is not None:
                self._busy[turn] = child
                return child
            box: SimpleQueue[Child | Exception] = SimpleQueue()
            turn.box = box
            insort(self._turns, turn, key=attrgetter("priority"))
        given = box.get()
        if isinstance(given, Exception):
            raise given
        return given

    def give_back(self, turn: ChildTurn) -> None:
        """End a turn, wherever it was; its child is ready again, or dismissed.

        To be called once more if an exception has ended it.
        """
        with self._lock:
            if turn in self._turns:
                self._turns.remove(turn)
            child = self._busy.get(turn)
            if child is None or self._is_good(child):
                self._end(turn, child)
                return
        # While nobody else can take it.
        self._dismiss(child)
        with self._lock:
            self._children = self._without(child)
            self._end(turn, None)

    def add(self, child: Child) -> None:
        """Add a child that has started."""
        with self._lock:
            self._children.insert(0, child)  # the last one asked has the most imported already
            self._serve()

    def drop(self, child: Child) -> bool:
        """Forget a child that ended; False if a caller still holds it and will give it back."""
        with self._lock:
            if child in self._children:
                self._children.remove(child)
            return child not in self._busy.values()

    def kill(self, key: Hashable) -> bool:
        """Kill the children that run calls of that key; False if there are none."""
        with self._lock:
            doomed = [child for turn, child in self._busy.items() if turn.key == key]
            for child in doomed:
                child.kill()
            return bool(doomed)

    def running(self, key: Hashable) -> Child | None:
        """Return the child that runs a call of that key, None if none does."""
        with self._lock:
            return next((one for turn, one in self._busy.items() if turn.key == key), None)

    def withdraw(self, key: Hashable) -> bool:
        """Raise an error in the callers of that key that wait for a child; False if none do."""
        with self._lock:
            waiting = [turn for turn in self._turns if turn.key == key]
            for turn in waiting:
                self._turns.remove(turn)
                self._put(turn, NotRunning(f"a call of process pool {self._name!r} was withdrawn"))
            return bool(waiting)

    def kill_busy(self) -> int:
        """Kill every busy child; return how many."""
        with self._lock:
            for child in self._busy.values():
                child.kill()
            return len(self._busy)

    def refuse(self, reason: Callable[[], Exception]) -> None:
        """Raise an error in every caller that waits."""
        with self._lock:
            while self._turns:
                self._put(self._turns.pop(0), reason())

    def close(self) -> list[Child]:
        """Refuse everybody from now on; return the children that were ready."""
        with self._lock:
            self._closed = True
            ready = self._ready
            self._children = list(self._busy.values())
        self.refuse(self._closing)
        return ready

    def abandon(self) -> None:
        """Forget everything, in a process that was forked off: the callers are not here."""
        self._lock = threading.RLock()
        self._closed = True
        self._children, self._busy, self._turns = [], {}, []

    def _is_good(self, child: Child) -> bool:
        spent = self._max_tasks is not None and child.calls >= self._max_tasks
        return child.usable and not spent and not self._closed

    def _end(self, turn: ChildTurn, child: Child | None) -> None:
        """End a turn; its child may be asked again, if there is one."""
        if child is not None:
            others = self._without(child)
            if len(others) < len(self._children):  # else it was dropped
                self._children = [*others, child]
        self._busy.pop(turn, None)
        self._serve()

    def _without(self, child: Child) -> list[Child]:
        return [one for one in self._children if one is not child]

    def _serve(self) -> None:
        while self._turns:
            turn = self._turns[0]
            child = self._busy.get(turn) or self._child_for(turn)
            if child is None:
                return
            self._busy[turn] = child
            self._put(turn, child)
            self._turns.remove(turn)

    @property
    def _ready(self) -> list[Child]:
        busy = set(self._busy.values())
        return [child for child in self._children if child not in busy]

    def _child_for(self, turn: ChildTurn) -> Child | None:
        """Return the child that a call may take now, None if there is none."""
        if len(self._busy) >= self._sizes.limit(turn.priority):
            return None
        busy = self._busy.values()
        for child in reversed(self._children):
            if child not in busy:
                return child
        return None

    def _put(self, turn: ChildTurn, given: Child | Exception) -> None:
        if turn.box is not None:
            turn.box.put(given)

    def _closing(self) -> NotRunning:
        return NotRunning(f"process pool {self._name!r} is closed; make another one")
