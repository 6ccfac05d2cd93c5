"""Cache policy of a durable task: `Cache`, a value that loads nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.model.options import Check, check_fields, count, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import CacheAdapter

METHODS = ("get", "set", "delete", "clear")

MAX_SIZE = count(least=1).or_none()
"""The most results that a cache keeps."""

_CHECKS = {
    "ttl": seconds(above=True, most=math.inf, expected="seconds above 0, a timedelta").or_none(
        "None to keep results for good"
    ),
    "key": Check(
        lambda value: callable(value) or (isinstance(value, str) and bool(value)),
        "a text, or a function of the task's arguments",
    ).or_none(),
    "adapter": Check(
        lambda value: all(hasattr(value, name) for name in METHODS),
        f"an object with the methods {', '.join(METHODS)}; see CacheAdapter",
    ).or_none(),
}


@dataclass(frozen=True, slots=True)
class Cache:
    """Policy for the results of a durable task: `@queue.task(cache=Cache(...))`.

    An equal job is then completed with the result of an earlier one. `ttl`: seconds (or a
    timedelta) that a result is kept, None for good. `key`: a text in the place of the task's name,
    or a function that is given a job's arguments and returns what to tell jobs apart by. `adapter`:
    where results are kept; None: in a file beside the queue's database, or in memory if it has
    none. Raises InvalidOption.
    """

    ttl: float | timedelta | None = 3600.0
    key: str | Callable[..., object] | None = None
    adapter: CacheAdapter | None = None

    def __post_init__(self) -> None:
        check_fields("Cache", _CHECKS, self)

    @property
    def seconds(self) -> float | None:
        """The seconds that a result is kept, None for good."""
        seconds = self.ttl.total_seconds() if isinstance(self.ttl, timedelta) else self.ttl
        return None if seconds == math.inf else seconds
