"""Locks and calls whose owner may have been interrupted at any line.

An exception can come between any two steps of a thread: a KeyboardInterrupt from a signal, the
exception of a timeout, of a debugger. So a note that a lock is held may be missing or late. What
is certain is the owner that an RLock itself knows, and the frames that threads are in.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence
    from types import CodeType, FrameType, FunctionType

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
StoreClass = TypeVar("StoreClass", bound=type)
Closable = TypeVar("Closable", bound="HasClose")

_GUARDS: set[CodeType] = set()


class Recovering(Protocol):
    """A store that can undo what an interrupted call of this thread has left."""

    def recover(self) -> None:
        """Undo it; harmless if nothing is left."""
        ...


class HasClose(Protocol):
    """A connection to any kind of store."""

    def close(self) -> object:
        """Close it; harmless if it is closed."""
        ...


class Signal:
    """Wakes one thread. To give it never blocks, whatever became of the thread that waits.

    An Event has a lock in itself, which an exception in its `wait` can leave taken.
    """

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, seconds: float) -> None:
        """Sleep until it is given, or was since the last wait; so long at most."""
        self._gate.acquire(timeout=seconds)

    def give(self) -> None:
        """End the wait, or the next one."""
        try:
            self._gate.release()
        except RuntimeError:  # it was given already
            return


def keep(place: MutableSequence[R], function: Callable[[T], R], argument: T) -> None:
    """Append the answer of a function that is written in C, in one step of the interpreter.

    An exception comes after a call, before the answer has a name; a connection would be lost then.
    """
    place.extend(map(function, (argument,)))


def close_all(connections: MutableSequence[Closable]) -> None:
    """Close connections, and forget each when it is closed."""
    for connection in list(connections):
        connection.close()
        with suppress(ValueError):  # another thread, or what has interrupted this one, was first
            connections.remove(connection)


def owns(lock: threading.RLock) -> bool:
    """Return whether this thread holds the lock."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001  # as Condition asks


def let_go(lock: threading.RLock) -> None:
    """Release a lock as often as this thread holds it; harmless if it does not."""
    is_mine = lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001  # as Condition asks
    while is_mine():
        lock.release()


def is_running(frame: FrameType) -> bool:
    """Return whether any thread is still in that frame, or in what it has called.

    Python itself knows: it clears only a frame that has ended, whose variables nobody misses.
    """
    try:
        frame.clear()
    except RuntimeError:
        return True
    return False


def is_beneath(frame: FrameType) -> bool:
    """Return whether this very thread is still in that frame, below what it does now."""
    return frame in _stack(sys._getframe())  # noqa: SLF001


def is_called_by(*functions: Callable[..., object]) -> bool:
    """Return whether this thread is in a call of one of these functions."""
    codes = {function.__code__ for function in functions}
    return any(frame.f_code in codes for frame in _stack(sys._getframe(1)))  # noqa: SLF001


def _stack(top: FrameType | None) -> list[FrameType]:
    frames: list[FrameType] = []
    while top is not None:
        frames.append(top)
        top = top.f_back
    return frames


def leaves_nothing(cls: StoreClass) -> StoreClass:
    """Have a store recover after each public call that an exception has ended.

    A call cleans up behind itself; but its cleaning can be interrupted as well. This is the second
    layer, in a frame of its own, so that one exception can't defeat both.
    """
    for name, method in list(vars(cls).items()):
        if callable(method) and not name.startswith("_") and name != "recover":
            setattr(cls, name, _recovering(method))
    return cls


def _recovering(method: Callable[P, R]) -> Callable[P, R]:
    @wraps(method)
    def guarded_call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except BaseException:
            store = cast("Recovering", args[0])
            if calls_under_way(store) == 1:
                store.recover()
            raise

    _GUARDS.add(cast("FunctionType", guarded_call).__code__)
    return guarded_call


def calls_under_way(store: object) -> int:
    """Return how many calls of a store this thread is in: two if a handler has come in between."""
    frames = _stack(sys._getframe(1))  # noqa: SLF001
    return sum(frame.f_code in _GUARDS and frame.f_locals["args"][0] is store for frame in frames)
