"""TestQueue: a queue during a test, whose jobs run when the test says so."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypedDict

from mainspring.errors import InvalidOption, JobFailed, NotRunning
from mainspring.model.events import AttemptsEnded
from mainspring.model.options import Check, count, refuse_unknown
from mainspring.model.remote_error import cause_of
from mainspring.model.view import JobFilter
from mainspring.queue.by_name import task_named
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.kit.client import TestClient
from mainspring.queue.kit.clock import MovedClock, seconds_in
from mainspring.queue.kit.enqueued import described, wanted
from mainspring.queue.kit.failures import UnseenErrors
from mainspring.queue.kit.job import TestJob
from mainspring.queue.kit.store import PrivateStore
from mainspring.queue.kit.worker import MOST_JOBS, InlineWorker
from mainspring.queue.queue_task import Call
from mainspring.stores.clock import MICROS, as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType
    from typing import Unpack

    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Outcome
    from mainspring.model.resource import Resource
    from mainspring.model.timetable import NewSchedule
    from mainspring.model.view import JobRecord
    from mainspring.queue.binding import Binding
    from mainspring.queue.kit.failures import Kinds
    from mainspring.queue.queue_task import QueueTask

    Wanted = QueueTask[..., Any, Any] | Call[Any] | str


_TIMES = count(
    least=1, expected="a whole number above 0; for none there is assert_not_enqueued()"
).or_none()

_AT = Check(
    lambda at: isinstance(at, datetime) and at.tzinfo is not None,
    "an aware datetime, such as datetime(2030, 1, 1, 12, tzinfo=UTC)",
).or_none()


class DurationParts(TypedDict, total=False):
    """A duration in words, as timedelta has them."""

    seconds: float
    minutes: float
    hours: float
    days: float


class TestQueue:
    """A queue during a test: a private store, the real engine in this thread, a clock of its own.

    `queue.testing()` makes one; it begins with the block and ends with it. The end of a block that
    raises nothing itself raises the first error of a body that nobody has seen.
    """

    __test__ = False  # for pytest: it holds no tests

    def __init__(  # noqa: PLR0913  # the parts of a queue
        self,
        queue: object,
        binding: Binding,
        declared: Callable[[], Sequence[NewSchedule]],
        *,
        eager: bool,
        processes: bool,
        suppress: Kinds,
        at: datetime | None,
    ) -> None:
        self.queue: Any = queue
        """The Queue. Its class is not named here: that would be an import of what opens the kit."""
        self._binding = binding
        self._declared = declared
        self._eager = eager
        self._processes = processes
        self._failures = UnseenErrors(self._error_of, _kinds("Queue.testing()", suppress))
        self._at = _AT("Queue.testing()", "at", at)
        self._overrides: dict[Callable[..., Any], object] = {}
        self._ended = ExitStack()
        self._clock: MovedClock
        self._worker: InlineWorker
        self._client: TestClient

    def __enter__(self) -> Self:
        self._clock = MovedClock(self._at)
        store = PrivateStore(clock=self._clock)
        self._worker = worker = InlineWorker(
            store,
            self._clock,
            self._binding,
            self._declared,
            overrides=self._overrides,
            processes=self._processes,
            retry_at_once=self._eager,
        )
        self._ended.callback(worker.close)
        self._client = TestClient(
            store, self._binding, worker, self._clock, self._failures, eager=self._eager
        )
        self._ended.callback(self._client.close)
        for subscriber in (self._failures.note, self._tell_ended):
            worker.subscribe(subscriber)
        self._ended.enter_context(self._binding.bound_to(self._client))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._ended.close()
        unseen = self._failures.take_any() if error is None else None
        if unseen is not None:
            raise unseen

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<TestQueue of {self.queue!r}>"

    def run(
        self,
        duration: float | timedelta | None = None,
        *,
        suppress: Kinds = (),
        **words: Unpack[DurationParts],
    ) -> int:
        """Run what is ready, and what that enqueues, in order; return how many attempts ran.

        With a duration (seconds, a timedelta, or in words) as a worker would in that time: the
        clock moves from one moment at which something is due to the next, and that runs. Raises
        the first error of a job that has failed for good, once all have run; not one of `suppress`.
        """
        __tracebackhide__ = True
        end = self._end_of("run()", duration, words)
        before = self._worker.ran
        self._worker.run_all()
        while (due := self._next(end, jobs=True)) is not None:
            self._clock.advance_to(due)
            self._worker.run_all()
        self._raise_failure(suppress)
        return self._worker.ran - before

    async def arun(
        self,
        duration: float | timedelta | None = None,
        *,
        suppress: Kinds = (),
        **words: Unpack[DurationParts],
    ) -> int:
        """Do as `run`, but coroutines run on the running loop, and `asyncio.sleep` really sleeps.

        For bodies that share with the test what belongs to its loop, as a database session.
        """
        __tracebackhide__ = True
        end = self._end_of("arun()", duration, words)
        before = self._worker.ran
        await self._worker.arun_all()
        while (due := self._next(end, jobs=True)) is not None:
            self._clock.advance_to(due)
            await self._worker.arun_all()
        self._raise_failure(suppress)
        return self._worker.ran - before

    def advance(
        self,
        duration: float | timedelta | None = None,
        **words: Unpack[DurationParts],
    ) -> None:
        """Move the clock; no real time passes, and no body runs before the next `run`.

        What is delayed, or waits for its retry, becomes ready; what expires is cancelled; schedules
        tick, once for each of their moments. Coroutines that run past their timeout are ended.
        """
        end = self._end_of("advance()", duration, words)
        while (due := self._next(end, jobs=False)) is not None:
            self._clock.advance_to(due)
            self._worker.look()

    def override(self, resource: Callable[..., Any], value: object) -> None:
        """Give bodies `value` for what a function with `@queue.resource` makes, until the end.

        Raises InvalidOption for a function that is none, and with `processes=True`.
        """
        _check_override(resource, self._binding.resources, processes=self._processes)
        self._overrides[resource] = value

    @property
    def now(self) -> datetime:
        """The time of the test's clock (aware UTC)."""
        return as_datetime(self._clock.micros)

    def jobs(
        self,
        *,
        task: QueueTask[..., Any, Any] | str | None = None,
        queue: str | None = None,
        status: str | None = None,
    ) -> list[TestJob]:
        """Return the jobs of this block that fit all that is given, in order of their enqueuing."""
        self._worker.flush()
        name = task if task is None or isinstance(task, str) else task.name
        records = self._client.store.jobs(JobFilter(queue=queue, task=name), limit=MOST_JOBS)
        return [self._job(one) for one in reversed(records) if status in (None, one.state)]

    @property
    def last(self) -> TestJob:
        """The job whose attempt ended last; raises NotRunning if none has run."""
        claim = self._failures.last
        record = None if claim is None else self._client.get(claim.id)
        if record is None:
            raise NotRunning("no job has run in this block; call run() before you look at last")
        return self._job(record)

    def assert_enqueued(  # beside the task's own arguments
        self,
        task: Wanted,
        /,
        *args: Any,
        times: int | None = None,
        queue: str | None = None,
        delay: float | timedelta | None = None,
        **kwargs: Any,
    ) -> TestJob:
        """Raise AssertionError unless a job of the task was enqueued; return the last such job.

        With these arguments, however the call was written; without any, with whatever arguments.
        The task may be named, as in `queue.enqueue`.
        `times`: exactly so often, else at least once. `queue`, `delay` (to the second): those of
        the job. A task whose own parameters are called so: `assert_enqueued(task.call(queue=1))`.
        """
        __tracebackhide__ = True
        _TIMES("assert_enqueued()", "times", times)
        jobs = self.jobs()
        asked = wanted(*self._called(task, args, kwargs), queue, delay)
        found = asked.among(jobs)
        if not found:
            raise AssertionError(f"{asked} was not enqueued; {described(jobs)}")
        if times is not None and len(found) != times:
            raise AssertionError(
                f"{asked} was enqueued {_times(len(found))}, not {_times(times)}; {described(jobs)}"
            )
        return found[-1]

    def assert_not_enqueued(
        self,
        task: Wanted,
        /,
        *args: Any,
        queue: str | None = None,
        delay: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        """Raise AssertionError if a job of the task was enqueued; see `assert_enqueued`."""
        __tracebackhide__ = True
        jobs = self.jobs()
        asked = wanted(*self._called(task, args, kwargs), queue, delay)
        if found := asked.among(jobs):
            raise AssertionError(f"{asked} was enqueued {_times(len(found))}; {described(jobs)}")

    def _called(
        self, task: Wanted, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[object, tuple[Any, ...], dict[str, Any]]:
        if isinstance(task, str):
            return task_named(self._binding, task, "assert_enqueued()"), args, kwargs
        if not isinstance(task, Call):
            return task, args, kwargs
        found = task_named(self._binding, task.job.task, "assert_enqueued()")
        return found, *self._binding.codec.decode_call(task.job.payload, task.job.task)

    def _job(self, record: JobRecord) -> TestJob:
        handle: JobHandle[Any] = JobHandle(self._client, record.id, record.task)
        raised = self._worker.errors.get(record.key)
        return TestJob(record, self._client, self._failures, handle, raised)

    def _end_of(self, owner: str, duration: float | timedelta | None, words: DurationParts) -> int:
        refuse_unknown(owner, words, tuple(DurationParts.__annotations__))
        return self._clock.micros + round(seconds_in(owner, duration, words) * MICROS)

    def _next(self, end: int, *, jobs: bool) -> int | None:
        """Return the moment to move the clock to, on its way to `end`; None when it is there."""
        if self._clock.micros >= end:
            return None
        due = self._worker.next_due(jobs=jobs)
        return end if due is None else min(due, end)

    def _raise_failure(self, suppress: Kinds) -> None:
        __tracebackhide__ = True
        error = self._failures.take_final(_kinds("run()", suppress))
        if error is not None:
            raise error

    def _tell_ended(self, event: Event) -> None:
        if isinstance(event, AttemptsEnded):
            self._client.tell_ended()

    def _error_of(self, claim: Claim, outcome: Outcome) -> BaseException:
        """Return the error of an attempt; of one elsewhere, what its handle raises."""
        raised = self._worker.errors.get(claim.key)
        if raised is not None:
            return raised
        failure = str(outcome.failure or "no reason was recorded")
        error = JobFailed(claim.id, claim.task, failure)
        if outcome.failure is not None:
            error.__cause__ = cause_of(outcome.failure, self._binding.errors)
        return error


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _kinds(owner: str, suppress: object) -> Kinds:
    named: tuple[object, ...] = tuple(suppress) if isinstance(suppress, tuple) else (suppress,)
    kinds = tuple(one for one in named if isinstance(one, type) and issubclass(one, BaseException))
    if len(kinds) == len(named):
        return kinds
    expected = "an exception class, or a tuple of them"
    raise InvalidOption("suppress", suppress, owner=owner, expected=expected)


def _check_override(
    function: Callable[..., Any], resources: Mapping[str, Resource], *, processes: bool
) -> None:
    """Raise InvalidOption unless it is a resource's function, and bodies will see the override."""
    why = remedy = ""
    if all(function is not one.function for one in resources.values()):
        why = "is no resource of this queue"
        remedy = "give a function that has @queue.resource above it"
    elif processes:
        why = "is made by child processes, which see no object of the test's"
        remedy = "leave out processes=True, and their tasks run in this process"
    if why:
        raise InvalidOption("resource", function, owner="override()", why=why, remedy=remedy)
