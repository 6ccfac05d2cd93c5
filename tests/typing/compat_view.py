"""What a type checker sees of class workers and of `mainspring.compat`; never run.

The classes are those of the pages, with types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import mainspring
from mainspring import (
    TASK_HIGH,
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    LocalProxy,
    Locker,
    TaskSupervisor,
    spawn,
    task_supervisor,
)
from mainspring.compat import async_task_worker, atasker, neotasker

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Meter(BackgroundIntervalWorker):
    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, interval=0.01, **options)
        self.delay = 0.02
        self.readings: list[int] = []

    def before_start(self) -> None:
        self.readings.clear()

    def run(self, **kwargs: object) -> bool:
        self.readings.append(len(self.readings))
        return len(self.readings) < 3

    def error(self) -> None:
        super().error()

    def after_stop(self) -> None:
        self.readings.clear()


class Shrinker(BackgroundQueueWorker):
    @staticmethod
    def run(text: str, **kwargs: object) -> str:
        return text[::2]

    def process_result(self, result: str) -> None:
        self.o = result


class Fetcher(BackgroundAsyncWorker):
    async def run(self, *args: object, **kwargs: object) -> None:
        assert self.o


class Bell(BackgroundEventWorker):
    def run(self, payload: str | None, **kwargs: object) -> None:
        assert payload


class Reader(BackgroundWorker):
    def loop(self, *args: object, **kwargs: object) -> None:
        self.mark_started()
        while self.is_active():
            self.run()
        self.mark_stopped()

    def run(self) -> None:
        assert self.o


class Listener(BackgroundAsyncWorker):
    async def loop(self) -> None:
        self.mark_started()


def attributes(worker: BackgroundWorker[..., Any], meter: Meter, pool: Executor) -> None:
    assert_type(worker.name, str)
    assert_type(worker.priority, int)
    assert_type(meter.interval, float | None)
    assert_type(meter.delay, float | None)
    assert_type(meter.keep_interval, bool)
    worker.name = "north"
    worker.set_name(None)
    worker.o = object()
    worker.priority = TASK_HIGH
    worker.on_error = print
    worker.on_error_kwargs = {"place": "cellar"}
    worker.loop = "io"
    worker.supervisor = task_supervisor
    worker.poll_delay = 0.1
    worker.priority = "high"  # type: ignore[assignment]
    BackgroundWorker("w", executor_func=print, pool=pool)


def supervisors() -> None:
    mine = TaskSupervisor(supervisor_id="mine", pool_size=5)
    info = mine.get_info()
    assert_type(info["id"], Any)
    assert_type(info.aloops, Any)
    assert_type(mine.put_task(int).result, int | None)
    assert_type(mine.put_task(target=int, args=("7",)).result, int | None)
    mine.create_async_job("jobs", target=print)
    mine.create_async_job(print, interval=1)
    assert_type(spawn(len, "a").result(), int)


def locks_and_locals() -> None:
    lock = Locker("door", timeout=1)

    @lock
    def enter(step: int) -> str:
        return str(step)

    assert_type(enter(1), str | None)
    with lock:
        LocalProxy().set("place", "cellar")


async def pools(plain: mainspring.AsyncTaskWorker) -> None:
    assert_type(plain.get_task_info("a"), mainspring.TaskInfo | None)
    for info in await plain.get_all_tasks():
        assert_type(info.to_dict(), dict[str, Any])
        assert_type(await info, mainspring.TaskInfo)
    async with async_task_worker.AsyncTaskWorker(2) as worker:
        assert_type(await worker.add_task(print, 1), str)
        assert_type(await worker.get_task_info("a"), mainspring.TaskInfo | None)


class Pinger(neotasker.BackgroundIntervalWorker):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.controller: str = options["controller"]

    def run(self, **kwargs: object) -> None:
        assert self.o


class Sorter(atasker.BackgroundQueueWorker):
    async def run(self, item: int, **kwargs: object) -> bool:
        return item > 3


def patient_workers(pinger: Pinger, sorter: Sorter) -> None:
    pinger.delay = 2
    sorter.put_threadsafe(3)
    with pinger.start_stop_lock:
        assert_type(pinger.stop(), bool)
    plain: BackgroundWorker[..., Any] = neotasker.BackgroundEventWorker("e", print)
    assert plain


@neotasker.background_worker(interval=1)
def poll() -> None: ...


assert_type(poll, BackgroundIntervalWorker[[], None])
