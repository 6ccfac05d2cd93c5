"""Whether a value that people give as an option is a number; True and False are none."""

from __future__ import annotations

from numbers import Real
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether it can be compared with and added to seconds; infinity and nan are numbers too."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
