"""Events one a job, as `queue.subscribe` tells of them."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import os
import pickle
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mainspring import JobEvent, JobFailed, Queue, Retry, Snooze, Unique, current_job
from mainspring.errors import InvalidOption
from mainspring.model.codec import JsonCodec
from mainspring.model.events import EventsDropped, NodeJoined, NodeRescued, ScheduleTicked
from mainspring.model.hidden_names import HiddenNames
from mainspring.model.job import Want
from mainspring.model.job_event import JOB_KINDS, JobTexts
from mainspring.telemetry import event_subscription
from mainspring.telemetry.job_events import JobEvents


@pytest.fixture
def queue():
    made = Queue("memory://", workers=1, grace=1)
    yield made
    made.close()


@pytest.fixture
def told(queue):
    """What a subscriber is told; the jobs' events only."""
    events = []
    queue.subscribe(events.append, *JOB_KINDS)
    return events


def kinds(told, job):
    return [event.kind for event in told if event.id == job.id]


@dataclass
class Login:
    name: str
    password: str


def fail(password):
    raise ValueError(f"{password} is wrong")


def test_a_job_is_told_of_from_its_enqueuing_to_its_end(queue, told):
    @queue.task
    def double(number):
        current_job.progress(0.5, "half")
        return number * 2

    job = double.delay(4)
    with queue.worker():
        assert job.result(timeout=10) == 8
    assert kinds(told, job) == ["enqueued", "started", "progressed", "completed"]
    assert {(one.task, one.queue, one.args) for one in told} == {(double.name, "default", (4,))}
    assert [one.attempt for one in told] == [0, 1, 1, 1]
    assert (told[2].progress, told[2].message) == (0.5, "half")
    assert (told[3].result, told[3].error) == (8, None)
    assert told[3].seconds >= 0
    assert all(one.at.tzinfo is not None for one in told)


def test_each_end_of_an_attempt_has_its_kind(queue, told):
    ways = [Snooze(0), Retry(delay=0), ValueError("no")]

    @queue.task(retries=2, backoff=[0])
    def various():
        error = ways.pop(0)
        raise error

    job = various.using(retries=1).delay()
    with queue.worker(), pytest.raises(JobFailed):
        job.result(timeout=10)
    assert kinds(told, job) == [
        *("enqueued", "started", "snoozed", "started", "retried", "started", "failed")
    ]
    assert told[-1].error == "ValueError: no"
    assert (told[4].delay, told[-1].delay) == (0.0, None)


def test_a_coroutine_and_a_child_are_told_of_like_a_thread(make_app):
    app = make_app("""
        from mainspring import Queue, current_job

        queue = Queue("memory://", workers=1, async_slots=1)

        @queue.task
        async def acount(number):
            current_job.progress(0.25)
            return number

        @queue.task(executor="process")
        def count(number):
            current_job.progress(0.25)
            return number
    """)
    told = []
    app.queue.subscribe(told.append, *JOB_KINDS)
    jobs = [app.acount.delay(1), app.count.delay(2)]
    with app.queue.worker():
        assert app.queue.gather(jobs, timeout=30) == [1, 2]
    for job in jobs:
        assert kinds(told, job) == ["enqueued", "started", "progressed", "completed"]


def test_cancelled_and_expired_jobs_are_told_of(queue, told):
    @queue.task
    def later():
        pass

    cancelled = later.using(delay=100).delay()
    queue.cancel(cancelled)
    with queue.testing() as t:
        expired = later.using(delay=5, expires=10).delay()
        t.run(seconds=1)
        t.advance(20)
        t.run()
        assert kinds(told, expired)[-1] == "expired"
    queue.close()
    assert kinds(told, cancelled) == ["enqueued", "cancelled"]


def test_a_coroutines_enqueuings_are_told_of(queue, told):
    @queue.task
    async def body(number):
        return number

    async def enqueue():
        return [
            await body.adelay(1),
            *await body.amap([(2,), (3,)]),
            *await queue.aenqueue_many([body.call(4)]),
        ]

    asyncio.run(enqueue())
    body.map([(5,)])
    queue.close()
    assert [one.args for one in told] == [(1,), (2,), (3,), (4,), (5,)]


def test_only_the_kinds_asked_for_are_told_of_until_the_subscription_ends(queue):
    told = []
    end = queue.subscribe(told.append, "completed", "node_joined", "schedule_ticked")

    @queue.task
    def body():
        pass

    queue.every(0.1, name="often")(body)
    with queue.worker():
        body.delay().result(timeout=10)
        ticked = threading.Event()
        queue.subscribe(lambda _: ticked.set(), "schedule_ticked")
        assert ticked.wait(10)
    assert {type(one) for one in told} == {JobEvent, NodeJoined, ScheduleTicked}
    assert {one.kind for one in told if isinstance(one, JobEvent)} == {"completed"}
    end()
    seen = len(told)
    with queue.worker():
        body.delay().result(timeout=10)
    assert len(told) == seen


def test_values_are_decoded_when_they_are_asked_for_and_not_before(queue, told, monkeypatch):
    decoded = []
    real = queue._binding.codec.decode_call
    monkeypatch.setattr(
        queue._binding.codec,
        "decode_call",
        lambda payload, task: (decoded.append(task), real(payload, task))[1],
    )
    task = queue.task(name="body")(lambda number: number)
    task.delay(7)
    queue.close()
    assert decoded == []
    assert told[0].args == (7,)
    assert decoded == ["body"]


def test_named_values_are_hidden_wherever_they_stand(queue):
    told = []
    queue.subscribe(told.append, *JOB_KINDS, redact=["Password"])
    task = queue.task(retries=0, name="fail")(fail)
    echo = queue.task(name="echo")(lambda *values, **named: {"password": "abcd", "n": values[1]})
    with queue.worker():
        with pytest.raises(JobFailed, match="hunter2"):
            task.delay("hunter2").result(timeout=10)
        echo.delay({"a": {"PASSWORD": "xyz1"}}, 2, password="pqr9").result(timeout=10)
    texts = [repr((one.args, one.kwargs, one.error, one.result, one)) for one in told]
    assert all(secret not in text for text in texts for secret in ("hunter2", "xyz1", "pqr9"))
    assert [one.error for one in told if one.kind == "failed"] == [
        "ValueError: [redacted] is wrong"
    ]
    assert told[-1].result == {"password": "[redacted]", "n": 2}
    assert told[-1].args == ({"a": {"PASSWORD": "[redacted]"}}, 2)


def test_arguments_by_place_are_hidden_behind_a_decorator_and_a_star(queue):
    def log_in(user, password):
        pass

    def wrapper(*args, **kwargs):
        return log_in(*args, **kwargs)

    told = []
    queue.subscribe(told.append, "enqueued", redact=["password"])
    queue.task(name="wrapped")(functools.wraps(log_in)(wrapper)).delay("ann", "hunter2")
    queue.task(name="starred")(lambda user, *password: None).delay("bob", "first", "second")
    queue.task(name="other")(lambda user, *rest, password=None: None).delay("eve", "x", "y")
    queue.close()
    hidden = "[redacted]"
    assert [one.args for one in told] == [
        ("ann", hidden), ("bob", hidden, hidden), ("eve", "x", "y"),
    ]  # fmt: skip


def test_an_object_with_a_hidden_field_is_hidden_whole(queue):
    told = []
    queue.subscribe(told.append, "enqueued", redact=["password"])
    task = queue.task(name="login")(lambda login, others: None)
    task.delay(Login("ann", "hunter2"), [Login("bob", "swordfish")])
    queue.close()
    assert told[0].args == ("[redacted]", ["[redacted]"])


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_tells_of_its_own_events_only(tmp_path):
    queue, told, go_on = Queue(db_path=tmp_path / "jobs.db"), [], threading.Event()
    heard = threading.Event()

    def tell(event):
        heard.set()
        go_on.wait(20)
        told.append(event.id)

    queue.subscribe(tell, "enqueued")
    task = queue.task(name="body")(lambda: None)
    parents = [task.delay().id for _ in range(3)]
    assert heard.wait(20)
    child = os.fork()
    if not child:
        try:
            go_on.set()
            own = task.delay().id
            queue.close()
            os._exit(0 if told == [own] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    queue.close()
    assert told == parents


def test_a_slow_subscriber_holds_up_nobody_and_is_told_what_it_missed(queue, monkeypatch, caplog):
    monkeypatch.setattr(event_subscription, "MOST_WAITING_EVENTS", 3)
    told, go_on = [], threading.Event()

    def slow(event):
        told.append(event)
        assert go_on.wait(30)

    queue.subscribe(slow, "completed")
    task = queue.task(name="body")(lambda: 1)
    with queue.worker():
        with caplog.at_level(logging.WARNING, "mainspring.events"):
            for _ in range(8):
                assert task.delay().result(timeout=10) == 1
        go_on.set()
    queue.close()
    dropped = [one.count for one in told if isinstance(one, EventsDropped)]
    assert sum(dropped) + len([one for one in told if isinstance(one, JobEvent)]) == 8
    assert sum(dropped) > 0
    assert caplog.text.count("is slower than events happen") == 1


def test_a_subscriber_that_raises_is_logged_once_and_goes_on(queue, caplog):
    told = []

    def broken(event):
        told.append(event)
        raise RuntimeError("no")

    queue.subscribe(broken, "enqueued")
    task = queue.task(name="body")(lambda: 1)
    for _ in range(3):
        task.delay()
    queue.close()
    assert len(told) == 3
    assert caplog.text.count("the like of it is not logged again") == 1


def test_who_subscribes_twice_has_one_subscription(queue):
    told = []
    queue.subscribe(told.append, "enqueued")
    queue.subscribe(told.append, "enqueued", "started")
    queue.task(name="body")(lambda: 1).delay()
    queue.close()
    assert len(told) == 1


def test_a_job_with_a_unique_key_is_told_of_with_the_id_that_it_has(queue, told):
    task = queue.task(name="body", unique=Unique(by="task"))(lambda: 1)
    assert task.delay().id == task.delay().id
    queue.close()
    assert len({one.id for one in told}) == 1


@pytest.mark.parametrize(
    ("kinds", "options", "named"),
    [
        (["fialed"], {}, "some of enqueued, started"),
        ([], {"redact": "password"}, "names of arguments"),
        ([], {"redact": [3]}, "names of arguments"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(queue, kinds, options, named):
    with pytest.raises(InvalidOption, match=named):
        queue.subscribe(print, *kinds, **options)


async def never_awaited(event):
    raise AssertionError(event)


@pytest.mark.parametrize("subscriber", [None, "print", never_awaited])
def test_what_can_not_be_called_with_an_event_is_refused_at_once(queue, subscriber):
    with pytest.raises(InvalidOption, match="no coroutine function"):
        queue.subscribe(subscriber)


def test_jobs_of_a_lost_node_are_told_of(queue, told):
    task = queue.task(name="body")(lambda: 1)
    job = task.delay()
    store = queue._store
    lost = store.join("lost", host="h", pid=1, lease=0.2)
    assert [one.id for one in store.claim(lost, [Want(("body",), None, 1)])] == [job.id]
    with queue.worker():
        assert job.result(timeout=20) == 1
    # It may have begun again before its rescue is told.
    assert sorted(kinds(told, job)) == ["completed", "enqueued", "rescued", "started"]


def test_a_rescued_job_is_told_of_with_the_seconds_that_it_waits(queue):
    job = queue.task(name="body")(lambda: 1).delay()
    store, told = queue._store, []
    queue.subscribe(told.append, "rescued", inline=True)
    tell = JobEvents(queue._binding.feed, JsonCodec(), lambda: store)
    for _ in range(2):  # after the second crash it waits
        lost = store.join("lost", host="h", pid=1, lease=60)
        store.claim(lost, [Want(("body",), None, 1)])
        rescued = store.rescue(lost, dead=True, begun=None)
        tell(NodeRescued("lost", len(rescued.requeued), len(rescued.failed), rescued))
    assert [one.id for one in told] == [job.id, job.id]
    assert [one.delay for one in told] == [0.0, pytest.approx(5.0, abs=1.0)]


@pytest.mark.parametrize("way", [lambda event: pickle.loads(pickle.dumps(event)), copy.deepcopy])
def test_an_event_goes_to_another_process_without_what_is_hidden(queue, way):
    told = []
    queue.subscribe(told.append, *JOB_KINDS, redact=["password"], inline=True)
    fails = queue.task(name="fails", retries=0)(fail)
    back = queue.task(name="back")(lambda password, n: {"password": password, "n": n})
    jobs = [fails.delay("hunter2"), back.delay("hunter2", n=2)]
    with queue.worker():
        queue.gather(jobs, timeout=10, return_exceptions=True)
    assert len(told) >= 6
    assert b"hunter2" in told[0].texts.payload
    for event in told:
        sent = way(event)
        assert (sent.kind, sent.id, sent.at, sent.seconds) == (
            event.kind,
            event.id,
            event.at,
            event.seconds,
        )
        assert (sent.args, sent.kwargs) == (event.args, event.kwargs)
        assert (sent.result, sent.error) == (event.result, event.error)
        assert b"hunter2" not in pickle.dumps(event)


def test_an_event_with_nothing_hidden_is_decoded_where_it_arrives(queue, told):
    job = queue.task(name="back")(lambda n: n).delay(3)
    with queue.worker():
        job.result(timeout=10)
    queue.close()
    sent = [pickle.loads(pickle.dumps(event)) for event in told]
    assert [event.args for event in sent] == [(3,)] * len(told)
    assert sent[-1].result == 3


def test_what_can_not_be_decoded_can_not_in_another_process_either():
    def broken(_text, _task):
        raise ValueError("it is broken")

    texts = JobTexts(b"x", b"x", broken, broken, "ValueError: no", HiddenNames(["password"]))
    event = JobEvent("failed", "1-a", "t", "q", datetime.now(UTC), texts)
    sent = pickle.loads(pickle.dumps(event))
    for name in ("args", "kwargs", "result"):
        with pytest.raises(ValueError, match="broken"):
            getattr(sent, name)
