"""The order of a queue's priorities: which of two numbers is more urgent."""

from __future__ import annotations

from typing import Literal

from mainspring.model.options import Check
from mainspring.model.task import PRIORITY

PriorityOrder = Literal["lower_first", "higher_first"]

PRIORITY_ORDER = Check(
    {"lower_first", "higher_first"}.__contains__, "'lower_first' or 'higher_first'"
)


def stored_priority(owner: str, priority: int, order: PriorityOrder) -> int:
    """Return the priority that a store sorts by, lower first. Raises `InvalidOption`."""
    PRIORITY(owner, "priority", priority)
    return -priority if order == "higher_first" else priority
