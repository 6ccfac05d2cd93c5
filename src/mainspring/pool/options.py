"""Options of a pool and of one task, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from mainspring.errors import InvalidPriority
from mainspring.model.number import is_number
from mainspring.model.options import Check, check_fields, count, instance_of, number

OWNER = "AsyncTaskWorker"
ADD = "add_task"

SECONDS = number(least=0, most=math.inf, expected="seconds, at least 0")
TIMEOUT = number(
    least=0, above=True, most=math.inf, expected="seconds above 0, or math.inf for no limit"
)
CHECKS = {
    "max_workers": count(least=1),
    "task_timeout": TIMEOUT.or_none(),
    "worker_poll_interval": SECONDS,
    "max_queue_size": count(least=1).or_none(),
    "retention": SECONDS.or_none(),
    "max_finished": count(least=0).or_none(),
}
"""The options of a pool."""

TASK_CHECKS = {
    "timeout": TIMEOUT,
    "cache_ttl": TIMEOUT,
    "task_id": Check(
        lambda value: isinstance(value, str) and value not in {"", ".", ".."},
        'a text, and none of "", "." and "..", to which no URL leads',
    ),
    "metadata": instance_of(dict, "a dict"),
}
"""The options of one task, each of which may be None."""

_NONE = (None,) * len(TASK_CHECKS)


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """`max_workers`: bodies at once; `max_queue_size`: tasks that may wait (None: any number).

    `task_timeout`: seconds a body may take unless its task says otherwise. `retention`,
    `max_finished`: for so many seconds, and so many, ended tasks are remembered.
    """

    max_workers: int = 10
    task_timeout: float | None = None
    worker_poll_interval: float = 1.0
    max_queue_size: int | None = None
    retention: float | None = 3600.0
    max_finished: int | None = 10_000

    def __post_init__(self) -> None:
        check_fields(OWNER, CHECKS, self)

    def limit(self, timeout: float | None) -> float | None:
        """Return the seconds that a task with this `timeout` may take, None for any number."""
        chosen = self.task_timeout if timeout is None else timeout
        return None if chosen == math.inf else chosen


class PoolTaskOptions(Struct, frozen=True):
    """Options of one task: what `add_task` takes beside the function and its arguments."""

    priority: float = 0
    task_id: str | None = None
    metadata: dict[str, Any] | None = None
    timeout: float | None = None
    replace: bool = False
    use_cache: bool | None = None
    cache_ttl: float | None = None
    cache_key: str | None = None


class CachePlan(Struct, frozen=True):
    """Caching of one task: for `ttl` seconds (None: for good), under a name of the caller's."""

    ttl: float | None
    name: str | None = None


def check_task(options: PoolTaskOptions) -> None:
    """Raise InvalidPriority or InvalidOption for what can't work."""
    if type(options.priority) is not int:
        _check_priority(options.priority)
    # Few tasks have any of these, and whoever adds many waits for this.
    if (options.timeout, options.cache_ttl, options.task_id, options.metadata) == _NONE:
        return
    for option, check in TASK_CHECKS.items():
        if (value := getattr(options, option)) is not None:
            check(ADD, option, value)


def _check_priority(priority: object) -> None:
    if not is_number(priority) or math.isnan(priority):
        raise InvalidPriority(priority, owner=ADD)
