"""Tasks that begin late: what is logged, and the user's functions that are called."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.task import BackgroundTask

log = logging.getLogger("mainspring.supervision")


def log_late(task: BackgroundTask[Any], seconds: float, *, critical: bool) -> None:
    """Log a task that began so many seconds after it was queued."""
    level = logging.CRITICAL if critical else logging.WARNING
    advice = "make the pool larger, or start fewer workers and tasks"
    log.log(level, "task %r began %.3f s after it was queued; %s", task.name, seconds, advice)


def call_late_hook(hook: Callable[[Any], object], task: BackgroundTask[Any]) -> None:
    """Call a function of the user's with a late task; what it raises is logged."""
    try:
        hook(task)
    except Exception:
        log.exception("the function for the late task %r raised", task.name)
