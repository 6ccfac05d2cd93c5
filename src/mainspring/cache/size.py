"""The most results that a cache keeps: checked where it is given."""

from __future__ import annotations

from mainspring.errors import InvalidOption
from mainspring.model.number import is_whole


def check_size(owner: str, max_size: object) -> None:
    """Raise InvalidOption unless it is a whole number above 0, or None for any number."""
    if max_size is not None and not (is_whole(max_size) and max_size >= 1):
        expected = "a whole number, at least 1, or None"
        raise InvalidOption("max_size", max_size, owner=owner, expected=expected)
