"""The jobs that a test asks for, among those that were enqueued; and what there was instead."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidArguments
from mainspring.model.duration import seconds_of
from mainspring.model.signature import task_signature
from mainspring.queue.queue_task import QueueTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from mainspring.model.signature import TaskSignature
    from mainspring.protocols import Codec
    from mainspring.queue.kit.job import TestJob

MOST_SHOWN = 20
NEAR_SECONDS = 1.0
"""A delay that was given as a moment differs by the time that the program has taken."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WantedJobs:
    """The jobs of a task, with these arguments (None: any), in this queue, so long delayed."""

    task: QueueTask[..., Any, Any]
    arguments: Arguments | None
    queue: str | None
    delay: float | None

    def among(self, jobs: Sequence[TestJob]) -> list[TestJob]:
        """Return the jobs that fit."""
        return [job for job in jobs if self._fits(job)]

    def _fits(self, job: TestJob) -> bool:
        if job.task != self.task.name or self.queue not in (None, job.queue):
            return False
        if self.delay is not None and abs(job.delay - self.delay) >= NEAR_SECONDS:
            return False
        if self.arguments is None:
            return True
        shape = task_signature(self.task.name, self.task.task.function, self.task.task.injected)
        return shape.values(job.args, job.kwargs) == _as_stored(
            self.task.codec, self.task.name, shape, self.arguments
        )

    def __str__(self) -> str:
        name = self.task.name.rpartition(".")[2]
        if self.arguments is None:
            called = name
        else:
            args, kwargs = self.arguments
            values = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
            called = f"{name}({', '.join(values)})"
        where = "" if self.queue is None else f" in queue {self.queue!r}"
        when = "" if self.delay is None else f" with a delay of {self.delay:g} s"
        return f"{called}{where}{when}"


def wanted(
    task: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    queue: str | None,
    delay: float | timedelta | None,
) -> WantedJobs:
    """Return the jobs that an assertion's arguments mean; raises InvalidArguments."""
    if not isinstance(task, QueueTask):
        kind = type(task).__name__
        raise InvalidArguments(f"assert_enqueued() takes a task of a queue first, not {kind}")
    seconds = None if delay is None else seconds_of("assert_enqueued()", "delay", delay)
    arguments = (args, kwargs) if args or kwargs else None
    return WantedJobs(task, arguments, queue, seconds)


def described(jobs: Sequence[TestJob]) -> str:
    """Return the jobs in words: what was enqueued instead."""
    if not jobs:
        return "nothing was enqueued"
    lines = [f"  {_line_of(job)}" for job in jobs[:MOST_SHOWN]]
    if len(jobs) > MOST_SHOWN:
        lines.append(f"  and {len(jobs) - MOST_SHOWN} more")
    return "\n".join(["what was enqueued:", *lines])


def _line_of(job: TestJob) -> str:
    where = "" if job.queue == "default" else f" in queue {job.queue!r}"
    when = f" with a delay of {job.delay:g} s" if job.delay > 0 and not job.attempts else ""
    return f"{job.call}{where}{when}"


def _as_stored(codec: Codec, name: str, shape: TaskSignature, arguments: Arguments) -> Arguments:
    """Return arguments as a body would get them; what can't be stored (as ANY) stays as it is."""
    with suppress(InvalidArguments):
        arguments = codec.decode_call(codec.encode_call(name, *arguments), name)
    return shape.values(*arguments)
