"""What a user's type checker sees; checked by test_types.py and never run.

Each `type: ignore` names an error that must be there: mypy complains of those that are not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from mainspring import (
    Cache,
    Exponential,
    Fixed,
    JobAttempt,
    JobEvent,
    JobHandle,
    JobState,
    MemoryCache,
    PickleCodec,
    Queue,
    Unique,
    current_job,
    injected,
)
from mainspring.model.view import JobRecord
from mainspring.testing import FakeJob, TestJob, TestQueue, fake_job

queue = Queue(db_path="jobs.db", workers=8, durability="normal", grace=20.0)
Queue("memory://", worker=3)  # type: ignore[arg-type]
Queue("memory://", codec=PickleCodec(signing_key=b"k" * 32), keep_failed=timedelta(days=9))
Queue("memory://", codec="pickle")  # type: ignore[arg-type]


@queue.task
def add(a: int, b: int = 1) -> int:
    return a + b


@queue.task
def many(a: int, b: int, c: int, d: int, e: str) -> str:
    return e * (a + b + c + d)


@queue.task(
    name="mail.send", queue="mail", priority=-10, retries=5, backoff=Exponential(1, cap=300)
)
async def send(to: str, *, copy: bool = False) -> list[str]:
    return [to] if copy else []


@queue.task(executor="process", timeout=30)
def count(path: str) -> dict[str, int]:
    return {path: 1}


@queue.task(cache=Cache(timedelta(minutes=1), key=lambda path: path, adapter=MemoryCache()))
def cached(path: str) -> int:
    return len(path)


@queue.task(cache=60)  # type: ignore[call-overload, untyped-decorator]
def wrongly_cached() -> None: ...


@queue.task()
def nothing() -> None:
    return


@queue.task(retrys=3)  # type: ignore[call-overload, untyped-decorator]
def wrong() -> None: ...


@queue.task(executor="gpu")  # type: ignore[call-overload, untyped-decorator]
def nowhere() -> None: ...


@queue.task(expires=60, unique=Unique(by="args", on_conflict="raise"), http=True)
def once(n: int) -> int:
    return n


@queue.task(unique="k")  # type: ignore[call-overload, untyped-decorator]
def keyed() -> None: ...


@queue.cron("*/5 * * * *", tz="Europe/Prague", args=(1,), catch_up="all", retries=5)
def tick(n: int) -> str:
    return str(n)


@queue.every(timedelta(seconds=30), name="beat")
async def beat() -> bytes:
    return b""


@queue.every(30)
@queue.cron("0 3 * * *", name="nightly")
@queue.task
def stacked(days: int = 7) -> list[int]:
    return [days]


@queue.every(60, unique=Unique(by="task"), expires=timedelta(minutes=5))
def sweep() -> None: ...


queue.every(60, unique="k")  # type: ignore[arg-type]
queue.enqueue_many(tick.call(1))  # type: ignore[arg-type]
assert_type(queue.schedules["beat"].next(3), list[datetime])
queue.cron("* * * * *", catch_up="some")  # type: ignore[arg-type]
queue.every("30")  # type: ignore[arg-type]
queue.every(30, retrys=5)  # type: ignore[call-arg]


def schedules() -> None:
    assert_type(tick.delay(1), JobHandle[str])
    assert_type(tick(1), str)
    assert_type(beat.delay(), JobHandle[bytes])
    assert_type(stacked.delay(3), JobHandle[list[int]])
    assert_type(stacked(), list[int])
    tick.delay("1")  # type: ignore[arg-type]
    stacked.delay(days="7")  # type: ignore[arg-type]
    nightly = queue.schedules["nightly"]
    assert_type(nightly.next(3), list[datetime])
    assert_type(nightly.last_tick, datetime | None)
    assert_type(nightly.pause(), bool)
    assert_type(nightly.trigger(), JobHandle[Any])


def enqueue() -> None:
    assert_type(add.delay(1, 2), JobHandle[int])
    assert_type(add.delay(1), JobHandle[int])
    assert_type(send.delay("you", copy=True), JobHandle[list[str]])
    assert_type(count.delay("x"), JobHandle[dict[str, int]])
    assert_type(nothing.delay(), JobHandle[None])
    own = add.using(retries=0, timeout=1.5, keep_result=timedelta(days=1), backoff=[1, 2])
    assert_type(own.using(backoff=Exponential(1)).delay(1), JobHandle[int])
    assert_type(own.delay(1).record.options.retries, int | None)
    assert_type(own.delay(1).run_now(), bool)
    assert_type(own.using(tags=["eu"], metadata={"order": 17}).delay(1).tags, tuple[str, ...])
    assert_type(own.delay(1).metadata, dict[str, Any])
    assert_type(own.delay(1).reschedule(delay=timedelta(days=1)), bool)
    assert_type(cached.delay("x"), JobHandle[int])
    assert_type(add.map([(1, 2), (3, 4)]), list[JobHandle[int]])
    assert_type(add.map((n,) for n in range(3)), list[JobHandle[int]])
    assert_type(send.map([("you",)]), list[JobHandle[list[str]]])
    assert_type(many.map([(1, 2, 3, 4, "5")]), list[JobHandle[str]])
    add.map([("1", 2)])  # type: ignore[list-item]
    many.map([(1, 2, 3, 4, 5)])  # type: ignore[list-item]
    add.map([1, 2])  # type: ignore[list-item]
    assert_type(queue.enqueue_many([add.call(1, 2), send.call("x")]), list[JobHandle[Any]])


def refuse() -> None:
    add.delay("1")  # type: ignore[arg-type]
    add.delay()  # type: ignore[call-arg]
    add.delay(1, 2, 3)  # type: ignore[call-arg]
    add.delay(1, c=3)  # type: ignore[call-arg]
    send.delay("you", "me")  # type: ignore[arg-type, call-arg]
    send.delay("you", copy="yes")  # type: ignore[arg-type]
    send.call(3)  # type: ignore[arg-type]
    nothing.delay(1)  # type: ignore[call-arg]
    add.using(prio=1)  # type: ignore[arg-type]
    add.using(priority="high")  # type: ignore[arg-type]
    add.using(on_conflict="drop")  # type: ignore[arg-type]
    add.using(retries="3")  # type: ignore[arg-type]
    add.using(tags=[1])  # type: ignore[list-item]
    add.using(backoff=lambda attempt: 5)  # type: ignore[arg-type]
    add.delay(1).reschedule("now")  # type: ignore[arg-type, call-arg]
    add.using(unique=5)  # type: ignore[arg-type]
    once.delay("1")  # type: ignore[arg-type]


def use() -> None:
    later = add.using(queue="slow", priority=5, delay=timedelta(minutes=1))
    assert_type(later.delay(1, 2), JobHandle[int])
    later.delay("1")  # type: ignore[arg-type]
    assert_type(send.using(run_at=datetime.now(UTC)).delay("x"), JobHandle[list[str]])


def on_terms(connection: object) -> None:
    once_a_day = add.using(
        unique="k",
        on_conflict="replace",
        idempotency_key="day",
        expires=timedelta(hours=1),
        conn=connection,
    )
    assert_type(once_a_day.delay(1, 2), JobHandle[int])
    assert_type(send.using(unique=Unique(by="task")).delay("x"), JobHandle[list[str]])
    with queue.transaction(connection):
        once_a_day.delay(1)


class Stock:
    def pieces(self, name: str) -> int:
        return len(name)


@queue.resource
def stock() -> Iterator[Stock]:
    yield Stock()


@queue.middleware
def around(attempt: JobAttempt) -> Iterator[None]:
    assert_type(attempt.attempt, int)
    yield


@queue.middleware
class Around:
    def __init__(self, attempt: JobAttempt) -> None:
        self.task = attempt.task

    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...


@queue.task(retry_on={KeyError: Fixed(30, charge=False), OSError: [1, 2], ValueError: None})
def count_pieces(name: str, shelf: Stock = injected) -> int:
    return shelf.pieces(name)


def with_what_is_around() -> None:
    assert_type(next(stock()), Stock)
    assert_type(next(around(JobAttempt("1", "t", "q", (), {}, 1, 0))), None)
    assert_type(Around(JobAttempt("1", "t", "q", (), {}, 1, 0)), Around)
    assert_type(count_pieces.delay("nails"), JobHandle[int])
    assert_type(count_pieces("nails", shelf=Stock()), int)
    queue.run_worker(log_jobs=True)
    queue.run_worker(log_jobs="yes")  # type: ignore[arg-type]
    queue.run_worker(metrics_port=9100, metrics_host="0.0.0.0")


def watch(event: JobEvent) -> None:
    assert_type(event.kind, str)
    assert_type(event.error, str | None)


def with_subscribers() -> None:
    end = queue.subscribe(watch, "completed", redact=["password"])
    assert_type(end(), None)
    queue.subscribe(print, inline=True)
    queue.subscribe(watch, 3)  # type: ignore[arg-type]
    queue.task(retry_on={"OSError": Fixed(1)})  # type: ignore[dict-item]
    with queue.testing() as t:
        t.override(stock, Stock())


def look_at_many(job: JobHandle[int]) -> None:
    page = queue.jobs(status="failed", search="x", limit=10)
    assert_type(page[0], JobHandle[Any])
    assert_type(page[:2], list[JobHandle[Any]])
    assert_type(page.cursor, str | None)
    assert_type(queue.jobs(order="oldest", page=3)[0].refresh().attempt, int)
    queue.jobs(order="up")  # type: ignore[arg-type]
    assert_type([one.id for one in queue.dead_letters(cursor=page.cursor)], list[str])
    assert_type(queue.retry(job), JobHandle[Any] | None)
    assert_type(queue.retry("1-x"), JobHandle[Any] | None)
    assert_type(queue.retry(page), list[JobHandle[Any] | None])
    assert_type(queue.cancel(job), bool)
    assert_type(queue.cancel(["1-x", job]), list[bool])
    assert_type(queue.drop([job]), int)
    assert_type(queue.purge(status="completed", older_than=timedelta(days=1)), int)
    assert_type(queue.pause("mail"), bool)
    assert_type(queue.paused(), list[str])
    assert_type(queue.nodes()[0].live, bool)
    queue.cancel(5)  # type: ignore[call-overload]


def call() -> None:
    assert_type(add(1, 2), int)
    _sent: Awaitable[list[str]] = send("you")
    _as_function: Callable[[int, int], int] = add


def look(job: JobHandle[int]) -> None:
    assert_type(job.result(timeout=10), int)
    assert_type(job.status, JobState)
    assert_type(job.id, str)
    assert_type(job.error, str | None)
    assert_type(job.progress, float)
    assert_type(job.log[0].text, str)
    assert_type(job.record.state, JobState)
    assert_type(job.cancel(), bool)
    assert_type(job.retry(args=(1, 2), kwargs={}), JobHandle[int])
    assert_type(job.retry().result(), int)
    assert_type(job.completed_at, datetime | None)
    assert_type(queue.get_job("1-x"), JobHandle[Any] | None)
    assert_type(queue.stats(), Mapping[str, Any])
    assert_type(current_job.attempt, int)
    assert_type(current_job.tags, tuple[str, ...])
    assert_type(current_job.metadata, dict[str, Any])


async def main() -> None:
    job = await add.adelay(1, 2)
    assert_type(job, JobHandle[int])
    assert_type(await job, int)
    assert_type(await send.delay("you"), list[str])
    await add.adelay("1")  # type: ignore[arg-type]
    assert_type(await add.amap([(1, 2)]), list[JobHandle[int]])
    await add.amap([("1", 2)])  # type: ignore[list-item]
    assert_type(await queue.aenqueue_many([add.call(1, 2)]), list[JobHandle[Any]])
    assert_type(await job.aresult(timeout=3), int)
    assert_type(await job.arecord(), JobRecord)
    assert_type(await job.astatus(), JobState)
    assert_type((await job.alog())[0].text, str)
    assert_type(await job.acancel(), bool)
    assert_type(await job.aretry(args=(1, 2)), JobHandle[int])
    await job.aretry(arg=(1, 2))  # type: ignore[call-arg]
    assert_type(await queue.aget_job("1-x"), JobHandle[Any] | None)
    page = await queue.ajobs(status="failed", limit=3)
    assert_type(page.cursor, str | None)
    await queue.ajobs(limit="3")  # type: ignore[arg-type]
    assert_type(await queue.aretry(job), JobHandle[Any] | None)
    assert_type(await queue.aretry(page), list[JobHandle[Any] | None])
    assert_type(await queue.acancel("1-x"), bool)
    assert_type(await queue.acancel([job]), list[bool])
    assert_type(await queue.adrop(job), int)
    assert_type(await queue.apause("mail"), bool)
    assert_type(await queue.astats(), Mapping[str, Any])
    schedule = await queue.schedules.aget("beat")
    if schedule is not None:
        assert_type(await schedule.anext(3), list[datetime])
        assert_type(await schedule.atrigger(), JobHandle[Any])
    running: Coroutine[Any, Any, None] = queue.arun_worker(["mail"])
    await running


def tests() -> None:
    with queue.testing(eager=True, suppress=(OSError, ValueError), at=datetime.now(UTC)) as t:
        assert_type(t, TestQueue)
        assert_type(t.run(), int)
        assert_type(t.run(timedelta(hours=1), suppress=OSError), int)
        t.advance(hours=1, minutes=2)
        t.advance(weeks=1)  # type: ignore[call-arg]
        assert_type(t.assert_enqueued(add, 1, b=2, times=1, queue="q", delay=5), TestJob)
        t.assert_enqueued(add.call(1), times=2)
        t.assert_not_enqueued(send, "you")
        t.assert_enqueued("mail.send", "you")
        t.assert_enqueued(7)  # type: ignore[arg-type]
        assert_type(t.jobs(task=add, status=JobState.FAILED), list[TestJob])
        assert_type(t.last.attempts, int)
        assert_type(t.last.error, BaseException | None)
        assert_type(t.now, datetime)
    with fake_job(attempt=2) as job:
        assert_type(job, FakeJob)
        assert_type(job.log, list[str])


async def async_tests() -> None:
    async with queue.testing() as t:
        assert_type(t, TestQueue)
        assert_type(await t.arun(minutes=1), int)


queue.configure("memory://", workers=3)
queue.configure(wokers=3)  # type: ignore[call-arg]
queue.init_app(object(), "memory://", workers=3)
queue.init_app(object(), wokers=3)  # type: ignore[call-arg]
assert_type(queue.autodiscover(["shop"], name="jobs"), list[str])
added = queue.schedules.add("s", add, every=60, retries=1, tags=["eu"], metadata={"a": 1})
assert_type(added.tags, tuple[str, ...])
queue.schedules.change("s", tags=None, priority=None, task=add)
queue.schedules.change("s", task=None)  # type: ignore[arg-type]
queue.every(60, tags=["eu"], metadata=None)(add)


@queue.task(backoff=[1, timedelta(minutes=1)])
def listed() -> None: ...


@queue.task(backoff=lambda attempt: 2.0 * attempt)
def computed() -> None: ...


@queue.task(backoff=Fixed(timedelta(seconds=30)))
def fixed() -> None: ...


@queue.task(backoff="30")  # type: ignore[arg-type]
def wrong_backoff() -> None: ...


def several(jobs: list[JobHandle[int]]) -> None:
    assert_type(queue.gather(jobs, timeout=5), list[int])
    for job in queue.as_completed(jobs):
        assert_type(job, JobHandle[int])


async def several_async(jobs: list[JobHandle[int]]) -> None:
    assert_type(await queue.agather(jobs), list[int])
    async for job in queue.aas_completed(jobs, timeout=5):
        assert_type(await job, int)


async def by_name() -> None:
    assert_type(queue.enqueue("app.send", ("you",), {"copy": True}, delay=5), JobHandle[Any])
    assert_type(await queue.aenqueue("app.send"), JobHandle[Any])
    queue.enqueue("app.send", delays=5)  # type: ignore[call-arg]


def hold_a_lock() -> None:
    with queue.lock("monthly report", wait=1.0, on_lost=print) as held:
        assert_type(held.fence, int)
        assert_type(held.lost, bool)


async def hold_it_in_a_coroutine() -> None:
    async with queue.lock("monthly report") as held:
        assert_type(held.name, str)
