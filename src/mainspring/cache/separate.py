"""A value for each receiver: what one does to it, no other sees."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")

UNCHANGEABLE = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes,
        Decimal, UUID, date, datetime, time, timedelta,
    }
)  # fmt: skip
"""Types whose values can be shared."""


def separate(value: T) -> T:
    """Return a copy that shares nothing changeable with `value`; raises what copying raises."""
    return value if type(value) in UNCHANGEABLE else deepcopy(value)
