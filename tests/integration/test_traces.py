"""Spans of OpenTelemetry: one trace from the producer through a job to the jobs it enqueues."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
from weakref import ref

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mainspring import JobFailed, Queue, Snooze
from mainspring.errors import MissingExtra
from mainspring.integrations.opentelemetry import MainspringInstrumentor


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    yield made
    made.shutdown()


@pytest.fixture
def instrumentor(provider):
    one = MainspringInstrumentor()
    one.instrument(tracer_provider=provider)
    yield one
    one.uninstrument()


@pytest.fixture
def queue():
    made = Queue("memory://", workers=2, grace=1)
    yield made
    made.close()


def spans(exporter, name=""):
    return [span for span in exporter.get_finished_spans() if span.name.startswith(name)]


def trace_of(span):
    return span.context.trace_id


def is_child(span, parent):
    return span.parent is not None and span.parent.span_id == parent.context.span_id


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_one_trace_goes_from_the_producer_through_the_job_to_the_job_it_enqueues(
    queue, exporter, provider, instrumentor, kind, eventually
):
    second = queue.task(name="second", queue="mail")(lambda: None)

    def first():
        return second.delay().id

    async def afirst():
        return (await second.adelay()).id

    task = queue.task(name="first")(first if kind == "thread" else afirst)
    with (
        queue.worker(),
        provider.get_tracer("test").start_as_current_span("the request") as request,
    ):
        job = task.delay()
        queue.get_job(job.result(timeout=10)).result(timeout=10)
    eventually(lambda: len(spans(exporter)) == 5)
    by_name = {span.name: span for span in spans(exporter)}
    sent, ran = by_name["send default"], by_name["process default"]
    sent_mail, ran_mail = by_name["send mail"], by_name["process mail"]
    assert {trace_of(span) for span in spans(exporter)} == {request.get_span_context().trace_id}
    assert is_child(sent, request)
    assert is_child(ran, sent)
    assert is_child(sent_mail, ran)
    assert is_child(ran_mail, sent_mail)
    assert (sent.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert dict(sent.attributes) == {
        "messaging.system": "mainspring",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.id": job.id,
        "mainspring.task": "first",
    }
    assert ran.attributes["messaging.message.id"] == job.id
    assert ran.attributes["messaging.operation.type"] == "process"
    assert ran.attributes["mainspring.attempt"] == 1


CHILD = """
    import json, os
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from mainspring import Queue
    from mainspring.integrations.opentelemetry import MainspringInstrumentor

    class FileExporter(SpanExporter):
        def export(self, spans):
            with open("spans.txt", "a") as file:
                for span in spans:
                    parent = span.parent and span.parent.span_id
                    ids = span.context.trace_id, span.context.span_id, parent
                    file.write(json.dumps([span.name, *ids, os.getpid()]) + "\\n")
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    # Nothing is exported in time: only what is flushed at the end.
    provider.add_span_processor(BatchSpanProcessor(FileExporter(), schedule_delay_millis=3_600_000))
    queue = Queue(db_path="jobs.db", workers=1, durability="normal", max_tasks_per_child=1)
    MainspringInstrumentor().instrument(queue=queue, tracer_provider=provider)

    @queue.task(executor="process")
    def first():
        return second.delay().id

    @queue.task
    def second():
        pass
"""


def test_a_child_process_is_of_the_trace_and_is_flushed_before_another_takes_its_place(
    make_app, tmp_path, eventually
):
    app = make_app(CHILD)
    path = tmp_path / "spans.txt"
    try:
        with app.queue.worker():
            with app.provider.get_tracer("test").start_as_current_span("the request"):
                job = app.first.delay()
            app.queue.get_job(job.result(timeout=30)).result(timeout=30)
            # Before the worker ends: the child has, after its one job.
            eventually(lambda: path.exists() and len(path.read_text().splitlines()) == 2, 30)
        app.provider.force_flush()
    finally:
        MainspringInstrumentor().uninstrument()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({of for _, of, *_ in lines}) == 1
    names = {span: name for name, _, span, _, _ in lines}
    chain = [(name, names.get(parent, "")) for name, _, _, parent, _ in lines]
    assert sorted(chain) == [
        ("process default", "send default"),
        ("process default", "send default"),
        ("send default", "process default"),
        ("send default", "the request"),
        ("the request", ""),
    ]
    assert len({pid for *_, pid in lines}) == 2


def test_with_links_an_attempt_begins_a_trace_of_its_own(queue, exporter, provider, eventually):
    instrumentor = MainspringInstrumentor()
    instrumentor.instrument(tracer_provider=provider, links=True)
    try:
        task = queue.task(name="body")(lambda: None)
        with queue.worker():
            task.delay().result(timeout=10)
        eventually(lambda: len(spans(exporter)) == 2)
    finally:
        instrumentor.uninstrument()
    (sent,), (ran,) = spans(exporter, "send"), spans(exporter, "process")
    assert trace_of(ran) != trace_of(sent)
    assert [link.context.span_id for link in ran.links] == [sent.context.span_id]


def test_with_links_the_baggage_goes_with_the_job_too(queue, provider):
    instrumentor = MainspringInstrumentor()
    instrumentor.instrument(tracer_provider=provider, links=True)
    task = queue.task(name="body")(lambda: baggage.get_baggage("tenant"))
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        job = task.delay()
    finally:
        context.detach(token)
    try:
        with queue.worker():
            assert job.result(timeout=10) == "acme"
    finally:
        instrumentor.uninstrument()


def test_each_attempt_has_a_span_and_errors_are_recorded(queue, exporter, instrumentor, eventually):
    ways = [Snooze(0), ValueError("no")]

    @queue.task(name="body", retries=0)
    def body():
        raise ways.pop(0)

    with queue.worker(), pytest.raises(JobFailed):
        body.delay().result(timeout=10)
    eventually(lambda: len(spans(exporter)) == 3)
    snoozed, failed = spans(exporter, "process")
    assert snoozed.status.status_code is StatusCode.UNSET
    assert (failed.status.status_code, failed.attributes["error.type"]) == (
        StatusCode.ERROR,
        "builtins.ValueError",
    )
    assert failed.events[0].attributes["exception.message"] == "no"


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_an_error_that_can_not_be_read_stays_the_one_of_its_attempt(
    queue, exporter, instrumentor, eventually
):
    @queue.task(name="odd", retries=1, retry_on=(Unreadable,), backoff=[0.01])
    def odd():
        raise Unreadable

    with queue.worker():
        job = odd.delay()
        with pytest.raises(JobFailed):
            job.result(timeout=20)
    failures = [one.failure.type for one in job.history if one.failure is not None]
    assert failures == [f"{__name__}.Unreadable"] * 2
    eventually(lambda: len(spans(exporter, "process")) == 2)
    last = spans(exporter, "process")[-1]
    assert last.status.status_code is StatusCode.ERROR
    assert last.attributes["error.type"] == f"{__name__}.Unreadable"
    assert [event.name for event in last.events] == ["exception"]


def test_an_error_of_an_odd_text_is_recorded_in_texts_that_can_be_exported(
    queue, exporter, instrumentor, eventually
):
    @queue.task(name="odd", retries=0)
    def odd():
        raise ValueError("no file caf\udce9")

    with queue.worker(), pytest.raises(JobFailed):
        odd.delay().result(timeout=20)
    eventually(lambda: len(spans(exporter, "process")) == 1)
    told = spans(exporter, "process")[0].events[0].attributes
    assert told["exception.type"] == "ValueError"
    assert told["exception.message"] == r"no file caf\udce9"
    assert all(text.encode() for text in told.values())


def test_batches_are_one_span_and_their_jobs_keep_their_own_options(queue, exporter, instrumentor):
    seen = []

    @queue.middleware
    def look(attempt):
        seen.append(attempt.headers)
        yield

    task = queue.task(name="body")(lambda number: number)

    async def enqueue():
        await task.amap([(1,), (2,)])
        await queue.aenqueue_many([task.using(tags=["vip"]).call(3)])
        await task.adelay(4)

    asyncio.run(enqueue())
    queue.enqueue_many([])
    batch, *_ = spans(exporter, "send")
    assert batch.attributes["messaging.batch.message_count"] == 2
    assert len(spans(exporter, "send")) == 3
    (vip,) = queue.jobs(tag="vip")
    assert vip.record.options.given() == {"tags": ("vip",)}
    with queue.testing() as t:
        task.delay(5)
        t.run()
    assert [*seen[0]] == ["traceparent"]


def test_it_begins_and_ends_for_queues_that_are_there_and_those_that_come(exporter, provider):
    there = Queue("memory://")
    instrumentor = MainspringInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    instrumentor.instrument()  # as other instrumentors: the second one changes nothing
    assert instrumentor.is_instrumented_by_opentelemetry
    comes = Queue("memory://")
    for number, queue in enumerate([there, comes]):
        queue.task(name=f"body{number}")(print).delay()
    assert len(spans(exporter, "send")) == 2
    MainspringInstrumentor().uninstrument()
    instrumentor.uninstrument()
    for queue in (there, comes):
        queue.enqueue(next(iter(queue.tasks)).name)
        assert (queue._binding.senders, queue._binding.middleware) == ([], [])
    assert len(spans(exporter, "send")) == 2
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_queues_that_are_gone_are_not_kept_by_what_traces_them(instrumentor):
    gone = ref(Queue("memory://"))
    gc.collect()
    assert gone() is None


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "mainspring.integrations.opentelemetry")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mainspring\[otel\]'"):
        importlib.import_module("mainspring.integrations.opentelemetry")


def test_jobs_without_instrumentation_carry_nothing(queue):
    job = queue.task(name="body")(print).delay()
    assert not queue.get_job(job.id).record.options


@pytest.mark.parametrize(
    "odd", [{"user": "half \ud800"}, {"us\udcffer": "x"}, {"a": object()}, {"a": "\0\n,;=\x7f"}]
)
def test_baggage_that_can_not_be_written_costs_no_job_and_no_trace(
    queue, exporter, instrumentor, odd
):
    seen = []
    task = queue.task(name="t")(lambda: seen.append(baggage.get_all()))
    entries = {"tenant": "acme", **odd}
    with_odd = context.get_current()
    for name, value in entries.items():
        with_odd = baggage.set_baggage(name, value, with_odd)
    token = context.attach(with_odd)
    try:
        job = task.delay()
    finally:
        context.detach(token)
    with queue.worker():
        job.result(timeout=10)
    assert seen[0]["tenant"] == "acme"
    (sent,), (processed,) = spans(exporter, "send"), spans(exporter, "process")
    assert is_child(processed, sent)
