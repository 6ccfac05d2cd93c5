"""Numbers among the values that people give as options; True and False are none."""

from __future__ import annotations

import math
from numbers import Real
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Return True for a real number, infinity and nan included."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Return True for a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_float(number: float) -> float:
    """Return a number as a float; an integer that no float can hold is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
