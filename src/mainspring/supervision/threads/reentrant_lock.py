"""Changes under a pool's lock, also when a signal handler comes in the middle of one."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ReentrantLock:
    """Steps that are taken one after the other, each whole.

    A signal handler runs in the middle of whatever its thread does, and that may be a step. A plain
    lock would hold it up for ever, and a reentrant one alone would let it take its own step on
    things that are half done. So its step is left, and taken at the end of the one in the way.
    """

    __slots__ = ("_busy", "_is_mine", "_left", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """For threads that no signal handler runs in: all but the main one."""
        self._is_mine = self.lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001  # as Condition asks
        self._busy = False
        self._left: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def take(self, step: Callable[..., object], *args: Any) -> None:
        """Run a step, or leave it to a call that is in the middle of another in this thread."""
        # The lock knows its owner, whatever line an exception has ended an earlier call at.
        is_free = not self._is_mine()
        try:
            with self.lock:
                if self._busy and not is_free:
                    self._left.append((step, args))
                else:
                    self._run(step, args)
        except BaseException:
            while is_free and self._is_mine():
                self.lock.release()
            raise

    def _run(self, step: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._busy = True
        try:
            step(*args)
        finally:
            self._busy = False
            while self._left:
                left, its_args = self._left.popleft()
                self.take(left, *its_args)
