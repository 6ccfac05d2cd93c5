"""The things of one kind that a task supervisor owns, by name."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from mainspring.errors import DuplicateName
from mainspring.supervision.forked import reset_in_child

T = TypeVar("T")


class OwnedRegistry(Generic[T]):
    """Things of one kind in the order in which they came, each under a name of its own.

    All methods may be called from any thread. A forked child has those that are `inherited`; the
    others are its parent's.
    """

    def __init__(self, kind: str, *, inherited: bool = False) -> None:
        self._kind = kind
        self._inherited = inherited
        self._by_name: dict[str, T] = {}
        self._lock = threading.RLock()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """In a forked child: have them forget theirs, too."""
        self._lock = threading.RLock()
        known, self._by_name = self._by_name, {}
        for one in known.values():
            forget = getattr(one, "reset_after_fork", None)
            if forget is not None:
                forget()
        if self._inherited:
            self._by_name = known

    def all(self) -> list[T]:
        """Return all of them."""
        with self._lock:
            return list(self._by_name.values())

    def by_name(self) -> dict[str, T]:
        """Return all of them, each under its name."""
        with self._lock:
            return dict(self._by_name)

    def names(self) -> str:
        """Return their names, for the sentence of an error."""
        return ", ".join(self._by_name) or "there is none"

    def get(self, name: str) -> T | None:
        """Return one by its name."""
        return self._by_name.get(name)

    def add(self, name: str, one: T) -> None:
        """Add one under a name; harmless if it is there. Raises `DuplicateName`."""
        with self._lock:
            other = self._by_name.get(name, one)
            if other is not one:
                raise DuplicateName(name, kind=self._kind, first=repr(other), second=repr(one))
            self._by_name[name] = one

    def add_numbered(self, name: str, one: T) -> str:
        """Add one under a name, with a number behind it if it is taken; return the name."""
        with self._lock:
            free, number = name, 2
            while self._by_name.get(free, one) is not one:
                free, number = f"{name}-{number}", number + 1
            self._by_name[free] = one
        return free

    def drop(self, name: str, one: T | None = None) -> bool:
        """Forget what has a name, or just this one under it; return whether it was known."""
        with self._lock:
            known = self._by_name.get(name)
            if known is None or (one is not None and known is not one):
                return False
            del self._by_name[name]
        return True

    def drop_all(self) -> list[T]:
        """Forget and return all of them."""
        with self._lock:
            known, self._by_name = self._by_name, {}
        return list(known.values())
