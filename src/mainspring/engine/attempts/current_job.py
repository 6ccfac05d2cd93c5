"""`current_job`: the job whose body the calling code is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.running import host, running
from mainspring.engine.journal.buffer import note_buffer
from mainspring.errors import InvalidOption, JobCancelled, NotRunning
from mainspring.model.job import Claim
from mainspring.model.job_options import NO_OWN_OPTIONS, JobOptions, read_options
from mainspring.model.number import as_float
from mainspring.telemetry.job_fields import JobRecords

if TYPE_CHECKING:
    from mainspring.model.job import RunningJob

job_records = JobRecords(running.get)
"""Gives log records made in a body the fields of its job, while a worker or a pool runs."""


class CurrentJob:
    """The job that the calling code is the body of; NotRunning anywhere else."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The job's id, as `delay` gave it."""
        return _claim().id

    @property
    def task(self) -> str:
        """The task's name."""
        return _claim().task

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return _claim().queue

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1; crashes do not count."""
        return _claim().attempt

    @property
    def crashes(self) -> int:
        """The number of workers that died while they ran this job."""
        return _claim().crashes

    @property
    def idempotency_key(self) -> str:
        """A key that is the same in every attempt of this job, and in no other job's."""
        return f"mainspring-{_claim().id}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that its enqueuing gave it."""
        return _own_options().tags

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that its enqueuing gave it; a dict of the caller's own."""
        return dict(_own_options().metadata)

    @property
    def shutdown_requested(self) -> bool:
        """True if the worker was asked to stop: a long body may end early, or save where it is."""
        _claim()
        return host.get().stopping

    def check_cancelled(self) -> None:
        """Raise JobCancelled if nobody waits for this attempt any more.

        Because the job was cancelled, the attempt ran past its timeout, or the worker lost its
        lease or was stopped. For bodies in threads, which nothing else can end.
        """
        claim = _claim()
        if not host.get().holds(claim):
            raise JobCancelled(claim.id, claim.task, "this attempt of it is over")

    def complete_in(self, conn: Any, result: object = None) -> None:
        """Complete the job in the caller's own transaction: it is completed if that commits.

        Commit before the task returns. If it is rolled back, raise: the job is tried again. What
        the task returns after this is not looked at. Raises InvalidConnection (the store has no
        transactions, the connection leads elsewhere, the task runs in a child process),
        JobCancelled (as `check_cancelled`), LeaseLost (the job is in other hands: roll back).
        """
        self.check_cancelled()
        host.get().complete_in(_claim(), conn, result)

    def progress(self, progress: float, message: str | None = None) -> None:
        """Report progress from 0 to 1 (values beyond are clamped), with an optional message.

        Costs about a microsecond; the store learns the last one, at most ten times a second. From
        the body's thread or coroutine and what carries its context (`asyncio.to_thread`, tasks): a
        plain thread of the body's own gets NotRunning. Ignored once the attempt is over. Raises
        InvalidOption for what is no number.
        """
        if not isinstance(running.get(), Claim):
            raise _not_recorded()
        if type(progress) is not float or not 0.0 <= progress <= 1.0:
            progress = _clamped(progress)
        note_buffer.get().progress(progress, None if message is None else str(message))

    def log(self, text: object) -> None:
        """Add a line to the job's log, from where `progress` may be called.

        The last 1,000 lines of a job are kept, 4,000 characters of each.
        """
        if not isinstance(running.get(), Claim):
            raise _not_recorded()
        note_buffer.get().log(str(text))

    def __bool__(self) -> bool:
        """Return whether the calling code is the body of a job."""
        return running.get() is not None


def _claim() -> RunningJob:
    claim = running.get()
    if claim is None:
        raise NotRunning("current_job was asked outside a job; use it in a task's body only")
    return claim


def _own_options() -> JobOptions:
    stored = getattr(_claim(), "options", None)  # a pool's task has none
    return NO_OWN_OPTIONS if stored is None else read_options(stored)


def _not_recorded() -> NotRunning:
    task = _claim().task
    return NotRunning(
        f"{task!r} is a task of a pool, which keeps no journal; "
        "give its function a parameter progress_callback"
    )


def _clamped(progress: float) -> float:
    try:
        number = as_float(progress)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        expected = "a number from 0 to 1"
        raise InvalidOption(
            "progress", progress, owner="current_job.progress", expected=expected
        ) from None
    return min(1.0, max(0.0, number))


current_job = CurrentJob()
