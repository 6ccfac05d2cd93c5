"""Options of a pool and of one task, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from mainspring.errors import InvalidOption, InvalidPriority
from mainspring.model.number import is_number, is_whole

OWNER = "AsyncTaskWorker"
ADD = "add_task"


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """`max_workers`: bodies at once; `max_queue_size`: tasks that may wait (None: any number).

    `task_timeout`: seconds a body may take unless its task says otherwise. `retention`,
    `max_finished`: for so many seconds, and so many, ended tasks are remembered.
    """

    max_workers: int = 10
    task_timeout: float | None = None
    poll_interval: float = 1.0
    max_queue_size: int | None = None
    retention: float | None = 3600.0
    max_finished: int | None = 10_000

    def __post_init__(self) -> None:
        _check_count("max_workers", self.max_workers, least=1)
        check_timeout(OWNER, "task_timeout", self.task_timeout)
        check_seconds("worker_poll_interval", self.poll_interval)
        if self.max_queue_size is not None:
            _check_count("max_queue_size", self.max_queue_size, least=1)
        if self.retention is not None:
            check_seconds("retention", self.retention)
        if self.max_finished is not None:
            _check_count("max_finished", self.max_finished, least=0)

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
    if options.timeout is not None:
        check_timeout(ADD, "timeout", options.timeout)
    if options.cache_ttl is not None:
        check_timeout(ADD, "cache_ttl", options.cache_ttl)
    if options.task_id is not None and (
        not isinstance(options.task_id, str) or options.task_id in {"", ".", ".."}
    ):
        expected = 'a text, and none of "", "." and "..", to which no URL leads'
        raise InvalidOption("task_id", options.task_id, owner=ADD, expected=expected)
    if options.metadata is not None and not isinstance(options.metadata, dict):
        raise InvalidOption("metadata", options.metadata, owner=ADD, expected="a dict")


def check_timeout(owner: str, option: str, value: object) -> None:
    """Raise InvalidOption unless it is seconds above 0 (infinity included), or None."""
    if value is not None and not (is_number(value) and value > 0):
        expected = "seconds above 0, or math.inf for no limit"
        raise InvalidOption(option, value, owner=owner, expected=expected)


def _check_priority(priority: object) -> None:
    if not is_number(priority) or math.isnan(priority):
        raise InvalidPriority(priority, owner=ADD)


def _check_count(option: str, value: object, *, least: int) -> None:
    if not (is_whole(value) and value >= least):
        expected = f"a whole number, at least {least}"
        raise InvalidOption(option, value, owner=OWNER, expected=expected)


def check_seconds(option: str, value: object) -> None:
    """Raise InvalidOption unless it is seconds, 0 or more."""
    if not (is_number(value) and value >= 0):
        raise InvalidOption(option, value, owner=OWNER, expected="seconds, at least 0")
