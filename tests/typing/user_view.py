"""What a user's type checker sees; checked by test_types.py and never run.

Each `type: ignore` names an error that must be there: mypy complains of those that are not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from mainspring import Cache, Exponential, JobHandle, JobState, MemoryCache, Queue, current_job

queue = Queue(db_path="jobs.db", workers=8, durability="normal", grace=20.0)
Queue("memory://", worker=3)  # type: ignore[arg-type]


@queue.task
def add(a: int, b: int = 1) -> int:
    return a + b


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


def enqueue() -> None:
    assert_type(add.delay(1, 2), JobHandle[int])
    assert_type(add.delay(1), JobHandle[int])
    assert_type(send.delay("you", copy=True), JobHandle[list[str]])
    assert_type(count.delay("x"), JobHandle[dict[str, int]])
    assert_type(nothing.delay(), JobHandle[None])
    assert_type(cached.delay("x"), JobHandle[int])
    assert_type(add.map([(1, 2), (3, 4)]), list[JobHandle[int]])
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


def use() -> None:
    later = add.using(queue="slow", priority=5, delay=timedelta(minutes=1))
    assert_type(later.delay(1, 2), JobHandle[int])
    later.delay("1")  # type: ignore[arg-type]
    assert_type(send.using(run_at=datetime.now(UTC)).delay("x"), JobHandle[list[str]])


def call() -> None:
    assert_type(add(1, 2), int)
    _sent: Awaitable[list[str]] = send("you")
    _as_function: Callable[[int, int], int] = add


def look(job: JobHandle[int]) -> None:
    assert_type(job.result(timeout=10), int)
    assert_type(job.status, JobState)
    assert_type(job.id, str)
    assert_type(job.error, str | None)
    assert_type(job.completed_at, datetime | None)
    assert_type(queue.get_job("1-x"), JobHandle[Any] | None)
    assert_type(queue.stats(), Mapping[str, Any])
    assert_type(current_job.attempt, int)


async def main() -> None:
    job = await add.adelay(1, 2)
    assert_type(job, JobHandle[int])
    assert_type(await job, int)
    assert_type(await send.delay("you"), list[str])
    await add.adelay("1")  # type: ignore[arg-type]
    running: Coroutine[Any, Any, None] = queue.arun_worker(["mail"])
    await running
