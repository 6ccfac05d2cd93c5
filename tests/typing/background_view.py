"""What a user's type checker sees of background work; checked by test_types.py and never run.

Each `type: ignore` names an error that must be there: mypy complains of those that are not needed.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, assert_type

from mainspring import (
    TASK_HIGH,
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    FunctionCollection,
    Queue,
    Restart,
    TaskSupervisor,
    background_task,
    background_worker,
    co_apply,
    co_mp_apply,
    task_supervisor,
    wait_completed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@background_worker
def measure(depth: int) -> float:
    return depth / 2


@background_worker(interval=1, singleton=Queue("memory://"))
async def alone(_worker: BackgroundIntervalWorker[Any, Any]) -> None:
    assert_type(_worker.lease_lost.is_set(), bool)
    assert_type(_worker.fence, int | None)


@background_worker(interval=1, jitter=0.1, priority=TASK_HIGH, restart=Restart(max_failures=3))
def poll(where: str = "here") -> bool | None:
    return bool(where)


@background_worker(cron="*/5 * * * *", tz="Europe/Prague")
def report() -> None: ...


@background_worker(delay=1, delay_before=0.5)
async def apoll() -> int:
    return 1


@background_worker(queue=asyncio.PriorityQueue, executor="process")
def mail(item: str) -> str:
    return item


@background_worker(e=True, loop="io", name="bell")
async def ring(payload: dict[str, int] | None) -> None:
    assert payload


@background_worker(interval="1")  # type: ignore[call-overload, untyped-decorator]
def wrong_interval() -> None: ...


@background_worker(intervall=1)  # type: ignore[call-overload, untyped-decorator]
def wrong_name() -> None: ...


@background_worker(interval=1, executor="gpu")  # type: ignore[call-overload, untyped-decorator]
def wrong_executor() -> None: ...


def decorated_functions_keep_their_types() -> object:
    assert_type(measure(3), float)
    assert_type(poll(), bool | None)
    assert_type(mail("x"), str)
    measure("3")  # type: ignore[arg-type]
    mail()  # type: ignore[call-arg]
    running: Coroutine[Any, Any, int] = apoll()
    as_function: Callable[[int], float] = measure
    return running, as_function


def kinds_are_told_apart() -> object:
    plain: BackgroundWorker[[int], float] = measure
    interval: BackgroundIntervalWorker[[], None] = report
    queue: BackgroundQueueWorker[[str], str] = mail
    assert_type(ring.get_event_obj().is_set(), bool)
    assert_type(mail.put_threadsafe("x", timeout=1), Future[str])
    ring.trigger_threadsafe(payload={"door": 3})
    measure.put_threadsafe(1)  # type: ignore[attr-defined]
    poll.get_event_obj()  # type: ignore[attr-defined]
    return plain, interval, queue


def workers_start_and_stop() -> None:
    assert_type(poll.start("there", _interval=2), bool)
    assert_type(poll.stop(wait=2), bool)
    assert_type(mail.stop(drain=True), bool)
    assert_type(poll.is_active(), bool)
    assert_type(poll.status().runs, int)
    assert_type(poll.name, str)


class Mine(BackgroundIntervalWorker[..., Any]):
    def run(self, **kwargs: Any) -> int:
        return len(kwargs)

    def process_result(self, result: Any) -> bool:
        return bool(result)


class Later(BackgroundAsyncWorker[..., Any]):
    async def run(self, **kwargs: Any) -> int:
        return len(kwargs)


class Bell(BackgroundEventWorker[..., Any]):
    @staticmethod
    def run(payload: Any) -> int:
        return len(payload)


class Plain(BackgroundWorker):
    def run(self, *args: Any, **kwargs: Any) -> None:
        self.last = args, kwargs


class Mailer(BackgroundQueueWorker):
    def run(self, task: Any, *args: Any, **kwargs: Any) -> int:
        return len(task)

    def process_result(self, result: Any) -> bool:
        return bool(result)


class Isolated(BackgroundQueueWorker[[str], int]):
    @staticmethod
    def run(task: str) -> int:
        return len(task)


class Poller(BackgroundIntervalWorker):
    def before_start(self) -> None:
        self.seen = 0

    def run(self, **kwargs: Any) -> None:
        self.seen += 1


class Alarm(BackgroundEventWorker):
    async def run(self, **kwargs: Any) -> None: ...


class Spinner(BackgroundAsyncWorker):
    async def run(self, **kwargs: Any) -> None: ...


def classes_of_ones_own() -> object:
    worker = Mine("mine", interval=1)
    assert_type(worker.start(), bool)
    assert_type(Mailer().put_threadsafe("x"), Future[Any])
    assert_type(Isolated().put_threadsafe("x"), Future[int])
    return Later(), Bell(), Plain(), Poller(interval=1), Alarm(), Spinner()


@background_task
def halve(number: int) -> float:
    return number / 2


@background_task(priority=TASK_HIGH, delay=0.1)
async def fetch(url: str) -> bytes:
    return url.encode()


def tasks() -> None:
    assert_type(halve(3).result, float | None)
    word: str = halve(3).status  # noqa: F841  # its type is what is tested
    assert_type(wait_completed(halve(3), timeout=1), float)
    assert_type(wait_completed([halve(3), halve(4)]), list[float])
    assert_type(fetch("x").result, bytes | None)
    assert_type(wait_completed(fetch("x")), bytes)
    halve("3")  # type: ignore[arg-type]


async def from_a_coroutine() -> None:
    assert_type(await co_apply(divmod, args=(7, 2)), Any)
    assert_type(await co_mp_apply(length, args=("x",)), int)
    assert_type(await poll.astop(), bool)
    async with TaskSupervisor("mine") as supervisor:
        assert_type(supervisor, TaskSupervisor)


def length(text: str) -> int:
    return len(text)


async def later() -> str:
    return "later"


def supervisors() -> None:
    assert_type(task_supervisor.spawn(length, "x"), Future[int])
    assert_type(task_supervisor.background_task(later()), Future[str])
    info: dict[str, Any] = task_supervisor.get_info()  # noqa: F841  # as above
    assert_type(task_supervisor.create_aloop("io").get_loop(), asyncio.AbstractEventLoop)


functions = FunctionCollection()


@functions
def first() -> int:
    return 1


@functions(priority=TASK_HIGH)
def second() -> str:
    return "2"


def collections() -> None:
    assert_type(first(), int)
    assert_type(second(), str)
    assert_type(functions.run(), dict[str, Any])
