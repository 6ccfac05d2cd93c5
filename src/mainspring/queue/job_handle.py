"""JobHandle: reads a job, waits for its result, moves, cancels and retries it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mainspring.engine.attempts.running import Awaited, waiting_for
from mainspring.errors import (
    InvalidOption,
    JobCancelled,
    JobError,
    JobExpired,
    JobFailed,
    JobGone,
    MainspringError,
    NotRetryable,
)
from mainspring.model.async_twin import off_loop
from mainspring.model.enqueue_options import check_still_valid, wait_of
from mainspring.model.foreign_names import missing
from mainspring.model.job import CANCELLED, EXPIRED, FINAL, Ended, JobState
from mainspring.model.number import is_number
from mainspring.model.remote_error import RemoteError, cause_of
from mainspring.model.stack_request import STACK, request_text
from mainspring.queue.priority_order import stored_priority
from mainspring.queue.record_fields import RecordFields

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mainspring.model.note import LogLine
    from mainspring.model.view import AttemptRecord, JobRecord
    from mainspring.queue.client import QueueClient
    from mainspring.queue.explanation import Explanation

__all__ = ["JobHandle", "RemoteError"]

R = TypeVar("R")

_INSTEAD = {
    "abort": "job.cancel()",
    "failed": 'job.status == "failed"',
    "get": "job.result(timeout=10)",
    "get_id": "job.id",
    "get_status": "job.status",
    "meta": "job.metadata",
    "ready": 'job.status in ("completed", "failed", "cancelled")',
    "return_value": "job.result(timeout=10)",
    "revoke": "job.cancel()",
    "state": "job.status",
    "successful": 'job.status == "completed"',
    "task_id": "job.id",
    "wait": "job.result(timeout=10)",
}
"""The names of Celery's, RQ's, Huey's and arq's results."""


class JobHandle(RecordFields, Generic[R]):
    """A job that was enqueued. Every field is read from the store when it is asked for.

    For several fields of one moment, read `record` once. Fields raise JobGone, a LookupError, when
    the job has been purged. `await job` is `job.result()` without blocking the loop. Thread-safe.

    A job of a page has the fields that were read with the page, without asking the store again, up
    to its next action (`cancel`, `retry`, a wait for its result) or `refresh`.
    """

    __slots__ = ("_client", "_seen", "id", "task")

    def __init__(
        self, client: QueueClient, job_id: str, task: str, seen: JobRecord | None = None
    ) -> None:
        self._client = client
        self._seen = seen
        self.id = job_id
        self.task = task

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} of {self.task}>"

    if not TYPE_CHECKING:  # or each attribute would exist to a type checker

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name, _INSTEAD)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def record(self) -> JobRecord:
        """All that the store has of it, as a value of this moment, or of that of its page."""
        return self._seen or self._live_record()

    def refresh(self) -> JobHandle[R]:
        """Read its fields from the store from now on, not as they were on its page; return it."""
        self._seen = None
        return self

    def _live_record(self) -> JobRecord:
        record = self._client.get(self.id)
        if record is None:
            raise JobGone(self.id, self.task)
        return record

    @property
    def status(self) -> JobState:
        """The job's state now."""
        return self.record.state

    @property
    def error(self) -> str | None:
        """The last line of what it failed of, last time; None if it did not."""
        failure = self.record.failure
        return None if failure is None else str(failure)

    @property
    def history(self) -> list[AttemptRecord]:
        """Every attempt with node, start, end, outcome and error; oldest first."""
        return self._client.history(self.id)

    @property
    def log(self) -> list[LogLine]:
        """The lines that its bodies have logged; oldest first."""
        return self._client.log(self.id)

    async def arecord(self) -> JobRecord:
        """Return `record` without blocking the event loop; its fields are those of the job."""
        return await _record(self)

    async def astatus(self) -> JobState:
        """Return `status` without blocking the event loop."""
        return (await _record(self)).state

    async def ahistory(self) -> list[AttemptRecord]:
        """Return `history` without blocking the event loop."""
        return await _history(self)

    async def alog(self) -> list[LogLine]:
        """Return `log` without blocking the event loop."""
        return await _log(self)

    def explain(self) -> Explanation:
        """Return why the job does not run, or what it does; `print(job.explain())` says it.

        Its `reasons` come in the order in which they are to be mended: a paused queue, a due time,
        no worker that takes the queue or knows the task, busy slots. Raises JobGone.
        """
        return self._client.explain(self.refresh().record)

    aexplain = off_loop(explain)

    def cancel(self) -> bool:
        """Cancel the job; True if it was live.

        A job that waits is cancelled at once. One that runs is asked to end; it may still complete
        or fail, but does not run again.
        """
        return self._client.cancel([self.refresh().id])[0]

    acancel = off_loop(cancel)

    def retry(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> JobHandle[R]:
        """Let a failed or cancelled job run again, now and as if new; its history stays.

        `args` and `kwargs` take the place of its own. Returns the live job: another one if that
        bears this job's unique key (which stays what it was). Raises NotRetryable,
        InvalidArguments, or LookupError.
        """
        self.refresh()
        edited = args is not None or kwargs is not None
        payload = self._edited(args, kwargs) if edited else None
        live = self._client.retry([self.id], payload=payload)[0]
        if live is None:
            raise NotRetryable(self.id, self.task, self.status)
        return self if live == self.id else JobHandle(self._client, live, self.task)

    aretry = off_loop(retry)

    def run_now(self) -> bool:
        """Let a job that waits for its time, or for its next attempt, start now; True if it waited.

        A job that was due already keeps its place; a paused queue stays paused. False, and nothing
        changes, for one that runs, has ended or is gone.
        """
        return self._client.reschedule([self.refresh().id], delay=0.0)[0]

    arun_now = off_loop(run_now)

    def reschedule(
        self, *, delay: float | timedelta | None = None, run_at: datetime | None = None
    ) -> bool:
        """Let a job that waits start at another time, earlier or later; True if it waited.

        Give one of both: `delay` is seconds (or a timedelta) from now, `run_at` an aware moment, a
        past one means now. Raises InvalidOption, also for a time at which the job has expired.
        """
        wait = wait_of("JobHandle.reschedule()", delay, run_at)
        record = self._client.get(self.id)
        if record is not None and record.state is JobState.PENDING:
            check_still_valid(record, wait)
        return self._client.reschedule([self.refresh().id], delay=wait)[0]

    areschedule = off_loop(reschedule)

    def reprioritize(self, priority: int) -> bool:
        """Give a job that waits another priority; True if it waited. Raises InvalidOption."""
        order = self._client.priority_order
        stored = stored_priority("JobHandle.reprioritize()", priority, order)
        return self._client.reschedule([self.refresh().id], priority=stored)[0]

    areprioritize = off_loop(reprioritize)

    def dump_stack(self) -> bool:
        """Ask the worker for the stack of the body, which comes to the job's log in some seconds.

        False, and nothing happens, for a job that does not run. Of a body in a child process the
        log says only that.
        """
        record = self.refresh().record
        if record.state is not JobState.RUNNING:
            return False
        self._client.store.add_entry(STACK, request_text(self.id))
        return True

    adump_stack = off_loop(dump_stack)

    def result(self, timeout: float | timedelta | None = None) -> R:
        """Wait until the job has ended, at most `timeout` (seconds), and return its result.

        Raises JobFailed, JobCancelled, JobExpired or TimeoutError; JobGone, a LookupError, when the
        job has been purged, also while it was waited for. The `__cause__` of a JobFailed is the
        evidence: a RemoteError with type, message and traceback text. If the original is a built-in
        exception, or registered with the queue, the cause is one of that class with that message,
        and the RemoteError is its own `__cause__`.
        """
        limit = _seconds("JobHandle.result()", timeout)
        if (seen := self._seen_end()) is not None:
            return self._value(seen)
        with waiting_for(self._awaited):
            ended = self._client.wait(self.id, limit)
        return self._value(ended or self._end_in_time(self.record, limit))

    async def aresult(
        self,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109  # as `result`
    ) -> R:
        """Return `result(timeout)` without blocking the event loop; `await job` has no timeout."""
        import asyncio  # noqa: PLC0415  # a lazy door

        limit = _seconds("JobHandle.aresult()", timeout)
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await self._aresult()
        except TimeoutError:
            if not timer.expired():
                raise
        return self._value(self._end_in_time(await self.arecord(), limit))

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the result on the running event loop."""
        return self._aresult().__await__()

    async def _aresult(self) -> R:
        import asyncio  # noqa: PLC0415  # a lazy door: producers in sync code never load it

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended | MainspringError] = loop.create_future()

        def settle(ended: Ended | MainspringError) -> None:
            if not future.done():
                future.set_result(ended)

        def on_end(ended: Ended | MainspringError) -> None:
            # A closed loop has no waiters, and must not disturb those of other loops.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, ended)

        cancel: Callable[[], None] | None = None
        over = False

        def begin() -> AbstractContextManager[None]:
            nonlocal cancel
            waiting = waiting_for(self._awaited)
            cancel = self._client.subscribe(self.id, on_end)
            if over:  # who waited was cancelled meanwhile
                cancel()
            return waiting

        if (seen := self._seen_end()) is not None:
            return self._value(seen)
        try:
            with await self._client.off_loop(begin):
                return self._value(await future)
        finally:
            over = True
            if cancel is not None:
                cancel()

    def _seen_end(self) -> Ended | None:
        """Return how it had ended when its page was read; None if it had not, or is on no page."""
        seen = self._seen
        if seen is not None and seen.state in FINAL:
            return _end_of(seen)
        self._seen = None
        return None

    def _end_in_time(self, record: JobRecord, timeout: float | None) -> Ended:
        """Return how it has ended just as its time was over; raises TimeoutError."""
        if record.state in FINAL:
            return _end_of(record)
        why = "; its explain() says why" if record.state is JobState.PENDING else ""
        text = f"job {self.id} ({self.task}) is still {record.state} after {timeout:g} s{why}"
        raise TimeoutError(text)

    def _awaited(self) -> Awaited:
        pending = self.record.state is JobState.PENDING
        return Awaited(self.id, self.task, self._client.slots(self.task), pending)

    def _edited(self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> bytes:
        if args is None or kwargs is None:
            had_args, had_kwargs = self._client.codec.decode_call(self.record.payload, self.task)
            args = had_args if args is None else args
            kwargs = had_kwargs if kwargs is None else kwargs
        return self._client.encode(self.task, tuple(args), dict(kwargs))

    def _value(self, ended: Ended | MainspringError) -> R:
        if isinstance(ended, MainspringError):
            raise ended
        if ended.state is JobState.COMPLETED:
            return cast("R", self._client.codec.decode_result(ended.result or b"null", self.task))
        raise self._cancelled(ended) if ended.state is JobState.CANCELLED else self._failed(ended)

    def _failed(self, ended: Ended) -> JobError:
        failure = ended.failure
        error = JobFailed(self.id, self.task, str(failure or "no reason was recorded"))
        error.__cause__ = None if failure is None else cause_of(failure, self._client.errors)
        return error

    def _cancelled(self, ended: Ended) -> JobError:
        failure = ended.failure
        if failure is not None and failure.type == EXPIRED.type:
            return JobExpired(self.id, self.task, failure.message)
        if failure is None or failure.type == CANCELLED.type:
            reason = "no reason was recorded" if failure is None else failure.message
            return JobCancelled(self.id, self.task, reason)
        error = JobCancelled(self.id, self.task, str(failure))
        error.__cause__ = cause_of(failure, self._client.errors)
        return error


def _seconds(owner: str, timeout: float | timedelta | None) -> float | None:
    """Return a timeout in seconds; less than none is over at once."""
    if isinstance(timeout, timedelta):
        return timeout.total_seconds()
    if timeout is None or is_number(timeout):
        return timeout
    expected = "seconds, a timedelta, or None to wait without end"
    raise InvalidOption("timeout", timeout, owner=owner, expected=expected)


def _end_of(record: JobRecord) -> Ended:
    return Ended(record.key, record.task, record.state, record.result, record.failure)


def _read_record(job: JobHandle[Any]) -> JobRecord:
    return job.record


def _read_history(job: JobHandle[Any]) -> list[AttemptRecord]:
    return job.history


def _read_log(job: JobHandle[Any]) -> list[LogLine]:
    return job.log


_record, _history, _log = off_loop(_read_record), off_loop(_read_history), off_loop(_read_log)
