"""The most results that a cache keeps: checked where it is given."""

from __future__ import annotations

from mainspring.errors import InvalidOption


def check_size(owner: str, max_size: object) -> None:
    """Raise InvalidOption unless it is a whole number above 0, or None for any number."""
    counts = isinstance(max_size, int) and not isinstance(max_size, bool)
    if max_size is not None and not (counts and int(str(max_size)) >= 1):
        expected = "a whole number, at least 1, or None"
        raise InvalidOption("max_size", max_size, owner=owner, expected=expected)
