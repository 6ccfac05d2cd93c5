"""`Locker`: a lock that is not waited for without end."""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar, cast

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number
from mainspring.model.signature import is_generator
from mainspring.stores.ownership import owns
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("mainspring.supervision")


class Locker:
    """A lock with a timeout: a decorator of functions, and a context manager.

    `mod` names it in the log. `timeout` is the seconds to wait for it; after that the log says so,
    `critical` is called, a decorated function is not called and returns None, and `with` raises
    `TimeoutError`. `relative`: whether the thread that has it may take it again. Raises
    `InvalidOption`.
    """

    def __init__(
        self,
        mod: str = "main",
        timeout: float = 5.0,
        relative: bool = True,  # noqa: FBT001, FBT002  the pages' signature
    ) -> None:
        if callable(mod):
            remedy = "call it first, as in @Locker()"
            raise InvalidOption("mod", mod, owner="Locker", why="is a function", remedy=remedy)
        if not (is_number(timeout) and timeout >= 0):
            raise InvalidOption("timeout", timeout, owner="Locker", expected="seconds, 0 or more")
        self.mod = mod
        self.timeout = timeout
        self.relative = relative
        self.lock = threading.RLock() if relative else threading.Lock()

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R | None]:
        """Return a function that is called with the lock taken.

        Raises `InvalidOption` for an async one or one with a yield, whose body would run after
        that.
        """
        if is_async(function) or is_generator(function):
            why, remedy = "runs when the lock is free again", "take it in a plain function"
            raise InvalidOption("function", function, owner="Locker", why=why, remedy=remedy)

        @functools.wraps(function)
        def locked(*args: P.args, **kwargs: P.kwargs) -> R | None:
            was_mine, taken = self._is_mine(), False
            try:
                taken = self._acquire(getattr(function, "__name__", "function"))
                return function(*args, **kwargs) if taken else None
            finally:
                if taken or (not was_mine and self._is_mine()):
                    self.lock.release()

        return locked

    def __enter__(self) -> Self:
        was_mine, taken = self._is_mine(), False
        try:
            taken = self._acquire("with")
        finally:
            if not taken and not was_mine and self._is_mine():
                self.lock.release()
        if not taken:
            raise TimeoutError(f"lock {self.mod!r} was not free within {self.timeout} s")
        return self

    def __exit__(self, *exc: object) -> None:
        self.lock.release()

    def critical(self) -> None:
        """Do something when the lock was not free in time; for subclasses, or to be set."""

    def _is_mine(self) -> bool:
        """Return whether this thread holds it, also if an exception came before that was noted.

        A lock that is not `relative` does not know its owner.
        """
        return self.relative and owns(cast("threading.RLock", self.lock))

    def _acquire(self, where: str) -> bool:
        if self.lock.acquire(timeout=min(self.timeout, threading.TIMEOUT_MAX)):
            return True
        log.critical("lock %r, wanted by %s, was not free in %s s", self.mod, where, self.timeout)
        self.critical()
        return False
