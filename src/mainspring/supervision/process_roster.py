"""Who of a pool's children is ready, who is busy with which call, and who waits for a child.

It knows nothing of how children start and end. At most `size` are busy at once, though more may be
ready: the rest are the spares. Whoever waits is served in order.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption, NotRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mainspring.supervision.process_child import Child


class _Turn:
    """A caller who waits for a child."""

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.box: SimpleQueue[Child | Exception] = SimpleQueue()


class Roster:
    """The children of one pool that are past their start; all methods from any thread.

    `dismiss` takes a child that must not be asked again.
    """

    def __init__(
        self, name: str, size: int, *, max_tasks: int | None, dismiss: Callable[[Child], None]
    ) -> None:
        self._name = name
        self._size = size
        self._max_tasks = max_tasks
        self._dismiss = dismiss
        self._lock = threading.Lock()
        self._ready: list[Child] = []
        self._busy: dict[Hashable, Child] = {}
        self._turns: deque[_Turn] = deque()
        self._closed = False

    def counts(self) -> tuple[int, int, int]:
        """Return how many are ready and busy, and how many callers wait."""
        with self._lock:
            return len(self._ready), len(self._busy), len(self._turns)

    def take(self, key: Hashable) -> Child:
        """Return a child for the call that bears `key`; wait for one if none is free."""
        with self._lock:
            self._check(key)
            if self._ready and not self._turns and len(self._busy) < self._size:
                child = self._busy[key] = self._ready.pop()
                return child
            turn = _Turn(key)
            self._turns.append(turn)
        return self._awaited(turn)

    def give_back(self, key: Hashable) -> None:
        """End the call that bears `key`; its child is ready again, or dismissed."""
        with self._lock:
            child = self._busy.pop(key)
            kept = child.usable and not self._closed and not self._is_spent(child)
            if kept:
                self._ready.append(child)
            self._serve()
        if not kept:
            self._dismiss(child)

    def add(self, child: Child) -> None:
        """Take in a child that has started."""
        with self._lock:
            self._ready.append(child)
            self._serve()

    def drop(self, child: Child) -> bool:
        """Forget a child that ended; False if a caller still holds it and will give it back."""
        with self._lock:
            if child in self._ready:
                self._ready.remove(child)
            return child not in self._busy.values()

    def kill(self, key: Hashable) -> bool:
        """Kill the child that runs the call that bears `key`; False if none does."""
        with self._lock:
            child = self._busy.get(key)
            if child is not None:
                child.kill()
            return child is not None

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
                self._turns.popleft().box.put(reason())

    def close(self) -> list[Child]:
        """Refuse everybody from now on; return the children that were ready."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, []
        self.refuse(self._closing)
        return ready

    def _check(self, key: Hashable) -> None:
        if self._closed:
            raise self._closing()
        if key in self._busy or any(turn.key == key for turn in self._turns):
            raise InvalidOption("key", key, owner=self._name, expected="one that no call bears")

    def _is_spent(self, child: Child) -> bool:
        return self._max_tasks is not None and child.calls >= self._max_tasks

    def _serve(self) -> None:
        while self._turns and self._ready and len(self._busy) < self._size:
            turn = self._turns.popleft()
            child = self._busy[turn.key] = self._ready.pop()
            turn.box.put(child)

    def _awaited(self, turn: _Turn) -> Child:
        try:
            given = turn.box.get()
        except BaseException:  # KeyboardInterrupt in a caller that waits
            self._withdraw(turn)
            raise
        if isinstance(given, Exception):
            raise given
        return given

    def _withdraw(self, turn: _Turn) -> None:
        with self._lock:
            if turn in self._turns:
                self._turns.remove(turn)
                return
        try:
            given = turn.box.get_nowait()
        except Empty:
            return
        if not isinstance(given, Exception):
            self.give_back(turn.key)

    def _closing(self) -> NotRunning:
        return NotRunning(f"process pool {self._name!r} is closed; make another one")
