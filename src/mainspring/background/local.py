"""`g`: values of one thread, or of one asyncio task and what it calls."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_values: ContextVar[dict[str, Any] | None] = ContextVar("mainspring_g", default=None)


class Local:
    """Attributes that each thread and each asyncio task has of its own.

    A task begins with what the code that created it had set, and changes only its own.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        values = _values.get() or {}
        if name not in values:
            raise AttributeError(f"g has no value {name!r} here")
        return values[name]

    def __setattr__(self, name: str, value: object) -> None:
        self.set(name, value)

    def __delattr__(self, name: str) -> None:
        if not self.has(name):
            raise AttributeError(f"g has no value {name!r} here")
        self.clear(name)

    def has(self, name: str) -> bool:
        """Return whether a value is set here."""
        return name in (_values.get() or {})

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default`."""
        return (_values.get() or {}).get(name, default)

    def set(self, name: str, value: object) -> None:
        """Set a value here."""
        # A new dict each time: a task shares the old one with who created it.
        _values.set({**(_values.get() or {}), name: value})

    def clear(self, name: str) -> None:
        """Forget a value; harmless if there is none."""
        _values.set({key: one for key, one in (_values.get() or {}).items() if key != name})


g = Local()
