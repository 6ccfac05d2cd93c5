"""The consequence of a crash for its job: a pure rule."""

from __future__ import annotations

from msgspec import Struct

from mainspring.errors import WorkerLost
from mainspring.model.job import Failure
from mainspring.model.retry import CRASH_DELAYS, delay_after_crash

SUSPECT_CRASHES = len(CRASH_DELAYS)
"""The crashes that make a job a suspect."""


LOST_TYPE = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"


class CrashDecision(Struct, frozen=True, gc=False):
    """Decision on a crashed job: it runs again after `delay` seconds, or has failed (None).

    A delay of 0 keeps the job's place in the line. `crashes` counts this one, and `failure` is the
    evidence of it.
    """

    crashes: int
    delay: float | None
    failure: Failure


def decide_crash(task: str, crashes: int, evidence: str) -> CrashDecision:
    """Return the decision on a job that crashed, and had crashed `crashes` times before."""
    crashes += 1
    lost = WorkerLost(task, crashes, evidence)
    failure = Failure(type=LOST_TYPE, message=str(lost))
    return CrashDecision(crashes=crashes, delay=delay_after_crash(crashes), failure=failure)


def lost_its_workers(failure: Failure | None) -> bool:
    """Return True for the failure of a job whose workers died of it, or with it."""
    return failure is not None and failure.type == LOST_TYPE


def is_suspect(crashes: int) -> bool:
    """Return True if the job's next crash would be its last.

    A node runs one such job at a time: the one that kills its workers then fails, and those that
    only ran beside it get through.
    """
    return crashes >= SUSPECT_CRASHES
