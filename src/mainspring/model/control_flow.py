"""Exceptions by which a body ends its own attempt: `Retry`, `GiveUp`, `Snooze`.

None of them asks the task's `retry_on` and `give_up_on`: the body knows better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import MainspringError
from mainspring.model.duration import seconds_of

if TYPE_CHECKING:
    from datetime import timedelta


class ControlFlow(MainspringError):
    """Base of the exceptions by which a body ends its attempt; never raised itself."""


class Retry(ControlFlow):
    """Raised by a durable task's body to be tried again; this attempt is charged.

    In `delay` seconds (or a timedelta), None: by the task's backoff. With no attempts left the job
    fails. `raise Retry(...) from error` keeps the error as the evidence of this attempt. Raises
    InvalidOption for a delay that makes no sense.
    """

    def __init__(self, delay: float | timedelta | None = None) -> None:
        self.delay = None if delay is None else seconds_of("Retry", "delay", delay)
        super().__init__("the task asked to be tried again")


class GiveUp(ControlFlow):
    """Raised by a durable task's body to fail now, whatever attempts are left.

    `reason` is what `job.error` says.
    """

    def __init__(self, reason: object = "the task gave up") -> None:
        super().__init__(str(reason))


class Snooze(ControlFlow):
    """Raised by a durable task's body to run again later; no attempt is charged.

    In `delay` seconds (or a timedelta), as if this attempt had not been. Nothing limits how often:
    the body must know when to end. Raises InvalidOption as `Retry` does.
    """

    def __init__(self, delay: float | timedelta) -> None:
        self.delay = seconds_of("Snooze", "delay", delay)
        super().__init__(f"the task asked to wait for {self.delay:g} s")
