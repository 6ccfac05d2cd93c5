"""An attempt of a stored job: its steps of the pipeline, and the outcomes of its failures.

`run` is for threads and children, `arun` for event loops; they differ in how the body is called
and in nothing else.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec.structs import replace

from mainspring.clock import monotonic
from mainspring.engine.attempts.backoff import backoff_delay
from mainspring.engine.attempts.middleware import within
from mainspring.engine.attempts.pipeline import arun, failed, run
from mainspring.engine.attempts.resources import Resources, supplied
from mainspring.engine.attempts.running import NO_HOST, host
from mainspring.errors import AttemptTimeout, NotCommitted, UnstorableResult
from mainspring.faults import ARMED, fault
from mainspring.model.backoff import is_charged
from mainspring.model.codec import Undecodable, Unstorable
from mainspring.model.control_flow import ControlFlow, GiveUp, Retry, Snooze
from mainspring.model.crash import decide_crash
from mainspring.model.duration import seconds_of
from mainspring.model.error_text import message_of, name_of, traceback_of
from mainspring.model.job import CANCELLED, EXPIRED, Claim, Failure, Outcome, OutcomeKind
from mainspring.model.job_options import read_options, task_with
from mainspring.telemetry.event_feed import NO_FEED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.engine.attempts.running import Host
    from mainspring.model.job import Grant
    from mainspring.model.middleware import Middleware
    from mainspring.model.task import Task
    from mainspring.telemetry.job_events import JobEvents

_NONE: Mapping[Grant, Outcome] = {}

PUT_OFF_SECONDS = 5.0
"""Seconds that a job waits which could not begin because no child process would start."""


class Tasks(Protocol):
    """Finds a task by name."""

    def __getitem__(self, name: str, /) -> Task:
        """Return the task; KeyError if there is none."""
        ...


class BodyCodec(Protocol):
    """The part of a codec that an attempt needs."""

    def decode_call(self, payload: bytes, task: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the `(args, kwargs)` of that task, or raise `Undecodable`."""
        ...

    def encode_result(self, value: object, task: str) -> bytes:
        """Return the text of a task's result, or raise `Unstorable`."""
        ...


class Decision(NamedTuple):
    """The outcome that an error asks for; `by_backoff`: the task's backoff gives the delay.

    Or that of the retry rule whose place among the task's is `rule`.
    """

    outcome: Outcome
    by_backoff: bool
    rule: int | None = None


class Attempt:
    """Runs claims, each in a context of its own.

    `note(slot, key, fence)` is told before a body begins, `at` is the worker it runs in.
    `completed_inside` holds claims whose bodies have completed them in transactions of their own.
    `middleware` is around each body, also what is registered later; `resources` are given to those
    that ask for them. `events` are told of each body that begins. The functions of `covered` are
    called in the place of those of `tasks`.
    """

    chance: float | None = None
    """Stands in for the random number of a backoff, from 0 to 1; None: it is drawn."""

    def __init__(  # noqa: PLR0913  # all that an attempt needs
        self,
        tasks: Tasks,
        codec: BodyCodec,
        note: Callable[[int, int, int], None],
        *,
        at: Host | None = None,
        completed_inside: Mapping[Grant, Outcome] = _NONE,
        middleware: Sequence[Middleware] = (),
        resources: Resources | None = None,
        events: JobEvents | None = None,
        covered: Tasks | None = None,
    ) -> None:
        self._tasks = tasks
        self._covered = tasks if covered is None else covered
        self._decode = codec.decode_call
        self._encode = codec.encode_result
        self._note = note
        # Never entered again: whatever runs here, each attempt begins with what is in it now.
        self._context = Context()
        self._context.run(host.set, at or NO_HOST)
        self._completed_inside = completed_inside
        self._middleware = middleware
        self._resources = resources or Resources()
        self._events = events
        self._feed = NO_FEED if events is None else events.feed

    def timeout(self, claim: Claim) -> float | None:
        """Return the seconds this attempt may take, None for as long as it likes."""
        # As `task_of`, spelled out here and below: each attempt passes.
        task = self._tasks[claim.task]
        return task.timeout if claim.options is None else task_with(task, claim.options).timeout

    def task_of(self, claim: Claim) -> Task:
        """Return the task, with the options of the job's own."""
        task = self._tasks[claim.task]
        return task if claim.options is None else task_with(task, claim.options)

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run the body in this thread."""
        if self._tasks[claim.task].executor == "async":
            return released(claim)  # defined anew, as a coroutine: its own slots are to take it
        return self._context.copy().run(run, self, claim, slot)

    def context(self, claim: Claim) -> Context:  # noqa: ARG002  # the seam's signature
        """Return a context for the task of a coroutine body."""
        return self._context.copy()

    def arun(
        self, claim: Claim, slot: int, asked: Callable[[float], Outcome | None]
    ) -> Coroutine[Any, Any, Outcome]:
        """Run the coroutine body in the caller's task; see `pipeline.arun`."""
        if not self._tasks[claim.task].is_coroutine:
            return _moved(claim)
        return arun(self, claim, slot, asked)

    def open(self, claim: Claim, slot: int) -> Call:
        """Return the call that the claim's payload tells, and note that it begins."""
        task = self._covered[claim.task]
        args, kwargs = self._decode(claim.payload, claim.task)
        if claim.options is not None:
            read_options(claim.options)  # which raises if they can't be read
        self._note(slot, claim.key, claim.fence)
        if self._feed.wanted:
            self.tell_began(claim)
        if ARMED:
            fault("before_body")
        call = task.function, args, kwargs
        if task.injected:
            call = supplied(self._resources, task.injected, call)
        if self._middleware:
            call = within(self._middleware, claim, args, kwargs, call)
        return call

    def tell_began(self, claim: Claim) -> None:
        """Publish that the body begins."""
        if self._events is not None:
            self._events.began(claim)

    def completed(self, claim: Claim, result: object, began: float) -> Outcome:
        """Return the outcome of a body that returned; raises `Unstorable`."""
        text = self._encode(result, claim.task)
        if self._completed_inside and (claim.key, claim.fence) in self._completed_inside:
            return self.failed(claim, NotCommitted(claim.task), began)
        task = self._tasks[claim.task]
        if claim.options is not None:
            task = task_with(task, claim.options)
        kind, ended = OutcomeKind.COMPLETED, monotonic()
        return Outcome(claim.key, claim.fence, kind, began, ended, text, keep=task.keep_result)

    def failed(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that raised: retry while attempts are left.

        Never raises, whatever the error does when it is inspected.
        """
        return failed(self, claim, error, began)

    def decide(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that raised, or raise what inspecting it raises."""
        return self.outcome_of(claim, self.decision(claim, error, began))

    def lost(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return a failure for an error that can't be inspected; `error` is one of ours."""
        failure = failure_of(error)
        kind = OutcomeKind.FAILED
        return Outcome(claim.key, claim.fence, kind, began, monotonic(), failure=failure)

    def decision(self, claim: Claim, error: BaseException, began: float) -> Decision:
        """Return the outcome that the error itself asks for, before attempts are counted."""
        error = error_on_record(claim, error)
        kind, delay = self._classify(claim, error)
        failure = _evidence_of(error)
        outcome = Outcome(claim.key, claim.fence, kind, began, monotonic(), failure=failure)
        if delay is not None:
            return Decision(replace(outcome, delay=delay), by_backoff=False)
        asks = kind is OutcomeKind.RETRY and not isinstance(error, Retry)
        rule = self._tasks[claim.task].rules.rule_of(error) if asks else None
        return Decision(outcome, by_backoff=True, rule=rule)

    def outcome_of(self, claim: Claim, decision: Decision) -> Outcome:
        """Return the outcome, with the delay of its retry, or as a failure when none is left."""
        outcome, by_backoff, rule = decision
        if outcome.kind is not OutcomeKind.RETRY:
            return outcome
        task = self.task_of(claim)
        own = task.rules.backoff_of(rule)
        if not is_charged(own):
            delay = backoff_delay(task, claim.attempt, own, chance=self.chance)
            return replace(outcome, kind=OutcomeKind.SNOOZED, delay=delay)
        if claim.attempt > task.retries:
            return replace(outcome, kind=OutcomeKind.FAILED, delay=0.0)
        if by_backoff:
            delay = backoff_delay(task, claim.attempt, own, chance=self.chance)
            return replace(outcome, delay=delay)
        return outcome

    def _classify(self, claim: Claim, error: BaseException) -> tuple[OutcomeKind, float | None]:
        """Return the kind of the outcome, and the delay if the error says one."""
        if isinstance(error, Snooze):
            return OutcomeKind.SNOOZED, seconds_of("Snooze", "delay", error.delay)
        if isinstance(error, Retry):
            delay = error.delay
            return OutcomeKind.RETRY, None if delay is None else seconds_of("Retry", "delay", delay)
        if isinstance(error, (GiveUp, Undecodable)):
            return OutcomeKind.FAILED, None
        again = self._tasks[claim.task].rules.again(error)
        return OutcomeKind.RETRY if again else OutcomeKind.FAILED, None

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return the outcome of an attempt that ran past its timeout."""
        return self.failed(claim, AttemptTimeout(claim.task, self.timeout(claim) or 0.0), began)


def released(claim: Claim) -> Outcome:
    """Return the outcome that gives a claim back, uncharged."""
    return Outcome(claim.key, claim.fence, OutcomeKind.RELEASED)


async def _moved(claim: Claim) -> Outcome:
    """Give back the claim of a task that was defined anew, as one for other slots."""
    return released(claim)


def overdue(claim: Claim) -> Outcome:
    """Return the outcome of a claim whose job expired before its body could begin."""
    return Outcome(claim.key, claim.fence, OutcomeKind.CANCELLED, failure=EXPIRED)


def cancelled(claim: Claim) -> Outcome:
    """Return the outcome of a claim whose job was asked to be cancelled."""
    return Outcome(claim.key, claim.fence, OutcomeKind.CANCELLED, failure=CANCELLED)


def crashed(claim: Claim, death: BaseException, began: float) -> Outcome:
    """Return the outcome of an attempt whose child process died under it."""
    decision = decide_crash(claim.task, claim.crashes, str(failure_of(death)))
    last = decision.delay is None
    return Outcome(
        claim.key,
        claim.fence,
        OutcomeKind.FAILED if last else OutcomeKind.CRASHED,
        began,
        monotonic(),
        failure=decision.failure,
        delay=decision.delay or 0.0,
        crashed=last,
    )


def put_off(claim: Claim, error: BaseException, began: float) -> Outcome:
    """Return the outcome of an attempt that could not begin here; it is tried again, uncharged."""
    return Outcome(
        claim.key,
        claim.fence,
        OutcomeKind.SNOOZED,
        began,
        monotonic(),
        failure=failure_of(error),
        delay=PUT_OFF_SECONDS,
    )


def error_on_record(claim: Claim, error: BaseException) -> BaseException:
    """Return the error as callers know it: of a result that can't be stored, it names the task."""
    return UnstorableResult(claim.task, error.why) if isinstance(error, Unstorable) else error


def _evidence_of(error: BaseException) -> Failure | None:
    """Return the failure to record: a retry's is the error that led to it, a snooze is none."""
    if not isinstance(error, ControlFlow) or isinstance(error, GiveUp):
        return failure_of(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is None:
        return None if isinstance(error, Snooze) else failure_of(error)
    return replace(failure_of(cause), traceback=failure_of(error).traceback)


def unrecordable(outcome: Outcome, error: BaseException) -> Outcome:
    """Return a failure with the store's reason, for what it refuses to record."""
    return Outcome(
        outcome.key,
        outcome.fence,
        OutcomeKind.FAILED,
        outcome.began,
        outcome.ended,
        failure=failure_of(error),
    )


def failure_of(error: BaseException) -> Failure:
    """Return the evidence of an error: whatever its class, this never raises."""
    return Failure(name_of(type(error)), message_of(error), traceback_of(error))
