"""The executor of process tasks: a pool of children, and the attempt that is sent to one of them.

Imported when the first such task comes: a worker that has none needs nothing of child processes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mainspring.engine.children.answer import answer
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.engine.children.cached import CachedChildAttempt
from mainspring.executors.process import ProcessExecutor
from mainspring.processes.pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempts.attempt import Attempt
    from mainspring.engine.consumer_config import ConsumerConfig
    from mainspring.model.job import Outcome


def process_executor(  # noqa: PLR0913  # the ways of an attempt: in, between, and out
    config: ConsumerConfig,
    attempt: Attempt,
    *,
    note: Callable[[int, int, int], None],
    on_note: Callable[[bytes], object],
    done: Callable[[Outcome], None],
    done_here: Callable[[Outcome], None],
    size: int,
    first_slot: int,
) -> ProcessExecutor:
    """Return an executor of `size` children, in slots numbered from `first_slot`."""
    pool = ProcessPool(
        size,
        handler=functools.partial(answer, limit_bytes=config.codec.limit_bytes),
        name="mainspring-jobs",
        max_tasks_per_child=config.settings.max_tasks_per_child,
        max_memory_per_child_bytes=config.settings.max_memory_per_child,
    )
    child = ChildAttempt(
        attempt,
        config.tasks.by_name,
        pool,
        note,
        on_note=on_note,
        middleware=config.middleware,
    )
    cache = config.cache
    return ProcessExecutor(
        size,
        child if cache is None else CachedChildAttempt(child, cache, config.codec),
        done,
        pool=pool,
        done_here=done_here,
        first_slot=first_slot,
    )
