"""Cache policy of a durable task: `Cache`, a value that loads nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import CacheAdapter

METHODS = ("get", "set", "delete", "clear")
_OWNER = "Cache"


@dataclass(frozen=True, slots=True)
class Cache:
    """Cache policy of a durable task: `@queue.task(cache=Cache(...))`.

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
        seconds = self.ttl.total_seconds() if isinstance(self.ttl, timedelta) else self.ttl
        if seconds is not None and not (is_number(seconds) and seconds > 0):
            expected = "seconds above 0, a timedelta, or None to keep results for good"
            raise InvalidOption("ttl", self.ttl, owner=_OWNER, expected=expected)
        if self.key is not None and not callable(self.key) and not (self.key and _text(self.key)):
            expected = "a text, or a function of the task's arguments"
            raise InvalidOption("key", self.key, owner=_OWNER, expected=expected)
        missing = [name for name in METHODS if not hasattr(self.adapter, name)]
        if self.adapter is not None and missing:
            expected = f"an object with the methods {', '.join(METHODS)}; see CacheAdapter"
            raise InvalidOption("adapter", self.adapter, owner=_OWNER, expected=expected)

    @property
    def seconds(self) -> float | None:
        """The seconds that a result is kept, None for good."""
        seconds = self.ttl.total_seconds() if isinstance(self.ttl, timedelta) else self.ttl
        return None if seconds == math.inf else seconds


def _text(value: object) -> bool:
    return isinstance(value, str)
