"""OpenTelemetry: a `send` span for each enqueuing, a `process` span for each attempt.

By the conventions for messaging spans. The context goes with the job, in its headers; so the
enqueuing, the attempts and what these enqueue are one trace, on any executor.
"""

from __future__ import annotations

import atexit
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from mainspring.errors import MissingExtra
from mainspring.model.control_flow import Snooze
from mainspring.model.error_text import message_of, name_of, traceback_of
from mainspring.model.name import is_utf8
from mainspring.queue.every_queue import on_every_queue

try:
    from opentelemetry import baggage, context, propagate, trace
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
except ImportError as error:
    raise MissingExtra("mainspring.integrations.opentelemetry", "otel") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from mainspring.model.job import NewJob
    from mainspring.model.middleware import JobAttempt
    from mainspring.model.sending import Sending
    from mainspring.queue import Queue
    from mainspring.queue.setup import QueueSetup

__all__ = ["MainspringInstrumentor"]

SYSTEM = "mainspring"
FLUSH_MILLISECONDS = 5_000
"""Time that the end of a process waits for its spans to be exported."""


class _Tracing:
    """The way of the spans of this process; `undo` ends it, None: no instrumentor is at work."""

    def __init__(self) -> None:
        self.provider: TracerProvider | None = None
        self.links = False
        self.undo: Callable[[], None] | None = None
        self._tracer: Tracer | None = None

    def begin(self, provider: TracerProvider | None, *, links: bool) -> None:
        """Send spans to that provider; None: to the global one, whenever it is set."""
        self.provider, self.links, self._tracer = provider, links, None

    def tracer(self) -> Tracer:
        """Return the tracer."""
        if self._tracer is None:
            self._tracer = trace.get_tracer(SYSTEM, tracer_provider=self.provider)
        return self._tracer

    def flush(self) -> None:
        """Have all spans exported: a process that ends takes those with it that wait."""
        provider: Any = self.provider or trace.get_tracer_provider()
        with suppress(Exception):
            provider.force_flush(FLUSH_MILLISECONDS)


_tracing = _Tracing()


class MainspringInstrumentor:
    """Traces queues: `MainspringInstrumentor().instrument()`.

    Where the tasks are defined, so that producers, workers and child processes all run it. As other
    instrumentors, there is one of it in a process: what one instance begins, any can end.
    """

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """True between `instrument` and `uninstrument`."""
        return _tracing.undo is not None

    def instrument(
        self,
        *,
        queue: Queue | None = None,
        tracer_provider: TracerProvider | None = None,
        links: bool = False,
    ) -> None:
        """Trace one queue, or all that there are and that come; nothing if it was called before.

        `tracer_provider`: other than the global one. `links`: an attempt begins a trace of its own
        that links to the enqueuing; else it is a child of it, in one trace.
        """
        if self.is_instrumented_by_opentelemetry:
            return
        _tracing.begin(tracer_provider, links=links)

        def begin(one: QueueSetup) -> Callable[[], None]:
            return one.instrument(sender=send_span, around=process_span)

        _tracing.undo = on_every_queue(begin) if queue is None else begin(queue)

    def uninstrument(self) -> None:
        """Trace no more."""
        undo, _tracing.undo = _tracing.undo, None
        if undo is not None:
            undo()


@contextmanager
def send_span(sending: Sending) -> Iterator[None]:
    """Span of an enqueuing, whose context goes with each of its jobs."""
    jobs = sending.jobs
    if not jobs:
        yield
        return
    with _tracing.tracer().start_as_current_span(
        f"send {_destination(jobs)}", kind=SpanKind.PRODUCER, attributes=_attributes_of(jobs)
    ) as span:
        sending.add_headers(_headers())
        yield
        if len(sending.ids) == 1 and span.is_recording():
            span.set_attribute("messaging.message.id", sending.ids[0])


def _headers() -> dict[str, str]:
    """Return the context of the caller as texts that can be written, without what can't be."""
    headers: dict[str, str] = {}
    try:
        propagate.inject(headers)
    except UnicodeError:  # of half a pair of surrogates in the baggage; the trace goes on without
        headers.clear()
        with suppress(UnicodeError):
            propagate.inject(headers, _without_odd_baggage())
    return {name: text for name, text in headers.items() if is_utf8(name) and is_utf8(text)}


def _without_odd_baggage() -> Context:
    kept = context.get_current()
    for name, value in baggage.get_all().items():
        if not (is_utf8(name) and is_utf8(str(value))):
            kept = baggage.remove_baggage(name, kept)
    return kept


@contextmanager
def process_span(attempt: JobAttempt) -> Iterator[None]:
    """Span of an attempt: around its body, in whichever thread, coroutine or process that runs."""
    _flush_at_exit()
    sent = propagate.extract(attempt.headers)
    links = []
    if _tracing.links:
        origin = trace.get_current_span(sent).get_span_context()
        links = [Link(origin)] if origin.is_valid else []
        sent = trace.set_span_in_context(trace.INVALID_SPAN, sent)  # the baggage stays
    span = _tracing.tracer().start_span(
        f"process {attempt.queue}",
        context=sent,
        kind=SpanKind.CONSUMER,
        links=links,
        attributes={
            **_names("process", attempt.queue, attempt.task),
            "messaging.message.id": attempt.id,
            "mainspring.attempt": attempt.attempt,
        },
    )
    token = context.attach(trace.set_span_in_context(span, sent))
    try:
        yield
    except BaseException as error:
        _record(span, error)
        raise
    finally:
        span.end()
        context.detach(token)


def _record(span: Span, error: BaseException) -> None:
    if isinstance(error, Snooze):
        span.add_event("snoozed", {"mainspring.delay": str(error.delay)})
        return
    # Whatever a user's error does when it is read, the attempt must fail of itself.
    kind, said = name_of(type(error)), message_of(error)
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, f"{kind.rpartition('.')[2]}: {said}"))
    # Texts of ours: exporters drop those that are no UTF-8, as of an odd file name.
    texts = {"exception.message": said, "exception.stacktrace": traceback_of(error)}
    try:
        span.record_exception(error, texts)
    except Exception:  # noqa: BLE001  # as above
        span.add_event("exception", {"exception.type": kind, **texts})


def _attributes_of(jobs: Sequence[NewJob]) -> dict[str, str | int]:
    tasks = {job.task for job in jobs}
    task = tasks.pop() if len(tasks) == 1 else None
    named = _names("send", _destination(jobs), task)
    return named if len(jobs) == 1 else {**named, "messaging.batch.message_count": len(jobs)}


def _names(operation: str, queue: str, task: str | None) -> dict[str, str | int]:
    named: dict[str, str | int] = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
    }
    return named if task is None else {**named, "mainspring.task": task}


def _destination(jobs: Sequence[NewJob]) -> str:
    queues = {job.queue for job in jobs}
    return queues.pop() if len(queues) == 1 else "several queues"


@cache
def _flush_at_exit() -> None:
    # Also at that of a child that is replaced: its exporter may have a batch in hand.
    atexit.register(_tracing.flush)
