"""`g`, and `LocalProxy` of which it is one: values of one thread, or of one asyncio task.

The values themselves stay in the thread that set them: a context variable only says which are
whose. So they are dropped there, too, wherever the task that had them is forgotten: a database
connection, say, may be closed by no other thread.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from mainspring.supervision.inside import running_loop

if TYPE_CHECKING:
    import asyncio


class LocalScope:
    """The values of one thread or task, and of the tasks that it has begun since its last change.

    The thread that made it drops the values, at its next look at any, on its loop, or at its end.
    """

    __slots__ = ("_thread", "number")

    def __init__(self, values: dict[tuple[LocalProxy, str], Any]) -> None:
        self._thread = _thread_values()
        self.number = next(self._thread)
        self._thread.by_number[self.number] = values

    def __del__(self) -> None:
        self._thread.drop(self.number)

    def values(self) -> dict[tuple[LocalProxy, str], Any]:
        """Return the values, none in another thread than that which made it."""
        return self._thread.by_number.get(self.number, {}) if self._thread.is_own() else {}


class ThreadValues:
    """The values of all scopes of one thread."""

    def __init__(self) -> None:
        self.by_number: dict[int, dict[tuple[LocalProxy, str], Any]] = {}
        self._number = 0
        self._dropped: deque[int] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __next__(self) -> int:
        self.sweep()
        self._loop = running_loop() or self._loop
        self._number += 1
        return self._number

    def is_own(self) -> bool:
        """Return whether the calling thread is the one that they belong to."""
        return getattr(_local, "values", None) is self

    def drop(self, number: int) -> None:
        """Drop the values of a scope in their own thread."""
        if self.is_own():
            self.by_number.pop(number, None)
            return
        self._dropped.append(number)
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: its thread's end drops them
                self._loop.call_soon_threadsafe(self.sweep)

    def sweep(self) -> None:
        """Drop what other threads have let go of."""
        while self._dropped:
            self.by_number.pop(self._dropped.popleft(), None)


class ThreadEnd:
    """Drops the values of a thread, in that thread, when it ends and lets go of this."""

    __slots__ = ("_values",)

    def __init__(self, values: ThreadValues) -> None:
        self._values = values

    def __del__(self) -> None:
        self._values.by_number.clear()


_local = threading.local()
_scope: ContextVar[LocalScope | None] = ContextVar("mainspring_g", default=None)


class LocalProxy:
    """Attributes that each thread and each asyncio task has of its own.

    A task begins with what the code that created it had set, if that ran in the same thread, and
    changes only its own.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        values = _values()
        if (self, name) not in values:
            raise AttributeError(f"g has no value {name!r} here")
        return values[self, name]

    def __setattr__(self, name: str, value: object) -> None:
        self.set(name, value)

    def __delattr__(self, name: str) -> None:
        if not self.has(name):
            raise AttributeError(f"g has no value {name!r} here")
        self.clear(name)

    def has(self, name: str) -> bool:
        """Return whether a value is set here."""
        return (self, name) in _values()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default`."""
        return _values().get((self, name), default)

    def set(self, name: str, value: object) -> None:
        """Set a value here."""
        # New values each time: a task shares the old ones with who created it.
        _scope.set(LocalScope({**_values(), (self, name): value}))

    def clear(self, name: str) -> None:
        """Forget a value; harmless if there is none."""
        _scope.set(LocalScope({key: one for key, one in _values().items() if key != (self, name)}))


def _values() -> dict[tuple[LocalProxy, str], Any]:
    scope = _scope.get()
    return {} if scope is None else scope.values()


def _thread_values() -> ThreadValues:
    values: ThreadValues | None = getattr(_local, "values", None)
    if values is None:
        values = _local.values = ThreadValues()
        _local.end = ThreadEnd(values)
    return values


g = LocalProxy()
