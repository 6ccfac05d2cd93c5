"""What the running body may ask of its own job: `current_job`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from mainspring.errors import NotRunning


class Running(Protocol):
    """What a claim says of itself to the body that it runs."""

    @property
    def id(self) -> str:
        """The job's public name."""
        ...

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def queue(self) -> str:
        """The queue it came from."""
        ...

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""
        ...

    @property
    def crashes(self) -> int:
        """How many workers it has cost."""
        ...


running: ContextVar[Running | None] = ContextVar("mainspring_running_claim", default=None)
"""The claim whose body runs in this thread or coroutine."""


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
        """Which attempt this is, from 1; crashes do not count."""
        return _claim().attempt

    @property
    def crashes(self) -> int:
        """How many workers died while they ran this job."""
        return _claim().crashes

    @property
    def idempotency_key(self) -> str:
        """A key that is the same in every attempt of this job, and in no other job's."""
        return f"mainspring-{_claim().id}"

    def __bool__(self) -> bool:
        """Whether the calling code is the body of a job."""
        return running.get() is not None


def _claim() -> Running:
    claim = running.get()
    if claim is None:
        raise NotRunning("current_job was asked outside a job; use it in a task's body only")
    return claim


current_job = CurrentJob()
