"""A job in the caller's hand: `JobHandle`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from mainspring.errors import (
    JobCancelled,
    JobError,
    JobExpired,
    JobFailed,
    MainspringError,
    StoreError,
)
from mainspring.model.job import EXPIRED, Ended, Failure, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime

    from mainspring.model.codec import JsonCodec
    from mainspring.model.job import NewJob
    from mainspring.model.view import AttemptRecord, JobRecord

R = TypeVar("R")


class RemoteError(MainspringError):
    """The original error of a failed attempt, as its evidence: type, message, traceback text."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure}\n\n{failure.traceback}" if failure.traceback else str(failure))


class Desk(Protocol):
    """What the handles and tasks of one queue share: how to enqueue, read, wait and decode."""

    @property
    def codec(self) -> JsonCodec:
        """Encodes arguments, decodes results."""
        ...

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep new jobs; return their ids."""
        ...

    async def aenqueue(self, job: NewJob) -> str:
        """Keep a new job without blocking the loop; return its id."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, None if it is gone."""
        ...

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return its attempts."""
        ...

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds."""
        ...

    def subscribe(
        self, job_id: str, tell: Callable[[Ended | StoreError], None]
    ) -> Callable[[], None]:
        """Call `tell` when the job has ended, or with why that can't be known."""
        ...


class JobHandle(Generic[R]):
    """A job that was enqueued. Every field is read from the store when it is asked for.

    `await job` is `job.result()` without blocking the loop. Thread-safe.
    """

    __slots__ = ("_desk", "id", "task")

    def __init__(self, desk: Desk, job_id: str, task: str) -> None:
        self._desk = desk
        self.id = job_id
        self.task = task

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} of {self.task}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def status(self) -> JobState:
        """The job's state now. LookupError when the job has been purged."""
        return self._record().state

    @property
    def queue(self) -> str:
        """The queue it is in."""
        return self._record().queue

    @property
    def priority(self) -> int:
        """Lower is more urgent."""
        return self._record().priority

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""
        return self._desk.codec.decode_call(self._record().payload)[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        return self._desk.codec.decode_call(self._record().payload)[1]

    @property
    def error(self) -> str | None:
        """The last line of what it failed of, last time; None if it did not."""
        failure = self._record().failure
        return None if failure is None else str(failure)

    @property
    def created_at(self) -> datetime:
        """When it was enqueued (aware UTC)."""
        return self._record().created_at

    @property
    def run_at(self) -> datetime:
        """When it may start, or might have (aware UTC)."""
        return self._record().run_at

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt began (aware UTC)."""
        return self._record().started_at

    @property
    def completed_at(self) -> datetime | None:
        """When it ended for good, however it ended (aware UTC)."""
        return self._record().completed_at

    @property
    def history(self) -> list[AttemptRecord]:
        """Every attempt with node, start, end, outcome and error; oldest first."""
        return self._desk.history(self.id)

    def result(self, timeout: float | None = None) -> R:
        """Wait until the job has ended, at most `timeout` seconds, and return its result.

        Raises JobFailed (its `__cause__` is the evidence, as RemoteError), JobCancelled,
        JobExpired (it could not start in time), or TimeoutError; LookupError when the job has been
        purged.
        """
        self._record()
        ended = self._desk.wait(self.id, timeout)
        if ended is None:
            state = self.status
            raise TimeoutError(f"job {self.id} ({self.task}) is still {state} after {timeout:g} s")
        return self._value(ended)

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the result on the running event loop."""
        return self._aresult().__await__()

    async def _aresult(self) -> R:
        import asyncio  # noqa: PLC0415  # a lazy door: producers in sync code never load it

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended | StoreError] = loop.create_future()

        def settle(ended: Ended | StoreError) -> None:
            if not future.done():
                future.set_result(ended)

        def tell(ended: Ended | StoreError) -> None:
            # A loop that was closed has nobody who waits; others who wait must be told.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, ended)

        self._record()
        cancel = self._desk.subscribe(self.id, tell)
        try:
            return self._value(await future)
        finally:
            cancel()

    def _record(self) -> JobRecord:
        record = self._desk.get(self.id)
        if record is None:
            raise LookupError(f"job {self.id} ({self.task}) is not in the store any more")
        return record

    def _value(self, ended: Ended | StoreError) -> R:
        if isinstance(ended, StoreError):
            raise ended
        if ended.state is JobState.COMPLETED:
            return cast("R", self._desk.codec.decode_result(ended.result or b"null"))
        raise self._error(ended)

    def _error(self, ended: Ended) -> JobError:
        reason = "no reason was recorded" if ended.failure is None else str(ended.failure)
        error = _kind_of(ended)(self.id, self.task, reason)
        error.__cause__ = None if ended.failure is None else RemoteError(ended.failure)
        return error


def _kind_of(ended: Ended) -> type[JobFailed | JobCancelled]:
    if ended.state is JobState.FAILED:
        return JobFailed
    expired = ended.failure is not None and ended.failure.type == EXPIRED.type
    return JobExpired if expired else JobCancelled
