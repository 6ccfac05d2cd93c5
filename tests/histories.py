"""What became of a job's attempts, without claims that were given back before a body began.

A worker gives a claim back, uncharged, when no slot came free for it within 0.2 s: on a busy
machine any job may have such a line in its history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from mainspring.model.view import AttemptRecord
    from mainspring.queue.job_handle import JobHandle


def attempts(job: JobHandle[Any]) -> list[AttemptRecord]:
    """Return the attempts whose body may have begun, the oldest first."""
    return [attempt for attempt in job.history if attempt.outcome != "released"]


def outcomes(job: JobHandle[Any]) -> list[str | None]:
    """Return how those attempts ended; None: it has not."""
    return [attempt.outcome for attempt in attempts(job)]
