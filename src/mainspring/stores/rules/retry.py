"""Retry by hand: the final jobs that run again, and those that a live job stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.model.job import TRANSITIONS, JobState, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REVIVABLE = frozenset(state for state, step in TRANSITIONS if step is Step.REVIVE)
"""The states in which a job can be retried."""


class FinalJob(Struct, frozen=True, gc=False):
    """A failed or cancelled job; `live` is the id of the live job that bears its unique key."""

    unique: str | None
    live: str | None


class RetryPlan(Struct, frozen=True):
    """The ids of the jobs to revive, in order, and the answer for each id that was asked for."""

    revived: list[str]
    answers: list[str | None]


def is_revivable(state: JobState) -> bool:
    """Return whether a job in that state can be retried."""
    return state in REVIVABLE


def plan_retry(job_ids: Sequence[str], found: Mapping[str, FinalJob]) -> RetryPlan:
    """Return the plan for these jobs; `found` holds those that have failed or were cancelled.

    A job that a live one stands for stays as it is. Of two with one unique key the first is
    revived, and the second is answered with its id. An id that is asked for twice is revived once:
    the second time it names a live job, which can't be retried.
    """
    revived: dict[str, str | None] = {}
    live = {job.unique: job.live for job in found.values() if job.live is not None}
    answers: list[str | None] = []
    for job_id in job_ids:
        job = None if job_id in revived else found.get(job_id)
        if job is None:
            answers.append(None)
            continue
        bearer = None if job.unique is None else live.get(job.unique)
        if bearer is None:
            revived[job_id] = job.unique
            if job.unique is not None:
                live[job.unique] = job_id
        answers.append(bearer or job_id)
    return RetryPlan(list(revived), answers)
