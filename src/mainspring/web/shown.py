"""Any value as one that JSON can hold; for other values a placeholder with their type."""

from __future__ import annotations

from math import isfinite
from typing import Any

from mainspring.model.record import type_name

DEEPEST = 64
LONGEST = 200
LARGEST = 2**1024
"""Longer numbers can't be read by most, and Python refuses to write those of 4,300 digits."""


def shown(value: Any, depth: int = 0) -> Any:
    """Return a JSON value that shows `value`; never raises."""
    kind = type(value)
    if kind is str:
        return text(value)
    if kind is dict and depth < DEEPEST:
        return _shown_dict(value, depth)
    if kind in {list, tuple} and depth < DEEPEST:
        return [shown(item, depth + 1) for item in value]
    return value if _fits(kind, value) else placeholder(value)


def _fits(kind: type, value: Any) -> bool:
    if kind is int:
        return bool(-LARGEST < value < LARGEST)
    return isfinite(value) if kind is float else kind in {bool, type(None)}


def text(value: str) -> str:
    """Return a text without lone surrogates, which no UTF-8 can hold."""
    return value.encode("utf-8", "backslashreplace").decode()


def placeholder(value: object) -> dict[str, str]:
    """Return a value's type, and the beginning of what `repr` says."""
    try:
        said = repr(value)
    except BaseException as error:  # noqa: BLE001  # a user's __repr__ may do anything
        said = f"<its repr raised {type(error).__name__}>"
    return {"$type": type_name(type(value)), "repr": text(said[:LONGEST])}


def _shown_dict(value: dict[Any, Any], depth: int) -> Any:
    # Other keys would have to be written as texts, and might meet one that is there.
    if any(type(key) is not str for key in value):
        return placeholder(value)
    return {text(key): shown(item, depth + 1) for key, item in value.items()}
