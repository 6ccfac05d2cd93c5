"""The wait for the next attempt, also where the user's own rule goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mainspring.model.backoff import Exponential

if TYPE_CHECKING:
    from mainspring.model.backoff import RetryBackoff
    from mainspring.model.task import Task

log = logging.getLogger("mainspring.engine")


def backoff_delay(
    task: Task, attempt: int, own: RetryBackoff | None = None, *, chance: float | None = None
) -> float:
    """Return the seconds after a failed attempt; by the default where the rule raises.

    The rule is the error's own, if it has one, else the task's. `chance` in 0..1 stands in for the
    random number.
    """
    try:
        return (own or task.backoff).delay(attempt, chance=chance)
    except Exception as error:  # noqa: BLE001  # a function of the user's
        log.warning(
            "the backoff of task %r went wrong for attempt %d: %r; the default is taken",
            task.name,
            attempt,
            error,
        )
        return Exponential().delay(attempt, chance=chance)
