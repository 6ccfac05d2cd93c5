"""A job of the supervisor: a target every so many seconds, so many times."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number, is_whole
from mainspring.model.signature import is_generator
from mainspring.supervision.threads.driver import PoolDriver
from mainspring.supervision.threads.priority import TASK_NORMAL
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.driver import OtherLoopDriver
from mainspring.supervision.workers.worker import Worker, is_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.aloop import ALoop
    from mainspring.supervision.supervisor.member import Member
    from mainspring.supervision.threads.pool import PriorityThreadPool
    from mainspring.supervision.workers.driver import Driver

_numbers = itertools.count(1)


class AsyncJob:
    """A target that is run every `interval` seconds until it has run `number` times.

    The first run comes after `timer` seconds. Raises `InvalidOption`.
    """

    def __init__(  # noqa: PLR0913  the pages' options
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        interval: float = 1.0,
        number: int | None = None,
        timer: float = 0.0,
    ) -> None:
        check_job(target, interval, number, timer)
        self.id = next(_numbers)
        self.number = number
        self.runs = 0
        self._target = target
        self._args = args
        self._kwargs = kwargs
        self._interval = interval
        self._timer = timer
        self.cancelled = False
        self.member: Member | None = None
        self._worker: Worker | None = None

    @property
    def target(self) -> Callable[..., Any]:
        """The function that it runs."""
        return self._target

    @property
    def interval(self) -> float:
        """The seconds from one run's start to the next one's."""
        return self._interval

    @property
    def timer(self) -> float:
        """The seconds before its first run."""
        return self._timer

    @property
    def name(self) -> str:
        """Its name in the log."""
        return f"job_{self.id}_{getattr(self._target, '__name__', 'target')}"

    @property
    def active(self) -> bool:
        """True if it will run again."""
        return self.member is not None and not self.member.ended.done() and not self.cancelled

    def cancel(self) -> None:
        """Run it no more; a run under way ends by itself."""
        self.cancelled = True
        if self.member is not None:
            self.member.service.close()

    def make_worker(self, aloop: ALoop, pool: PriorityThreadPool) -> Worker:
        """Return the worker that runs it: on the aloop, or a sync target in borrowed threads."""
        trigger = _DelayedInterval(self._timer, self._interval)
        driver: Driver
        if is_async(self._target):
            driver = OtherLoopDriver(self._run_later, aloop.spawn_coroutine_threadsafe)
        else:
            driver = PoolDriver(self._run, pool, TASK_NORMAL)
        self._worker = Worker(self.name, self._target, trigger, driver=driver)
        return self._worker

    def _run(self) -> None:
        self._count()
        self._target(*self._args, **self._kwargs)

    async def _run_later(self) -> None:
        self._count()
        await self._target(*self._args, **self._kwargs)

    def _count(self) -> None:
        self.runs += 1
        if self.runs == self.number and self._worker is not None:
            # Before the last run, which may raise.
            self._worker.close()


class _DelayedInterval(Interval):
    """An interval whose first tick comes after so many seconds."""

    def __init__(self, first: float, interval: float) -> None:
        super().__init__(interval)
        self._first: float | None = first

    def due(self, now: float) -> float | None:
        if self._first is not None:
            self._tick, self._first = now + self._first, None
        return super().due(now)


def check_job(target: object, interval: float, number: int | None, timer: float) -> None:
    """Raise `InvalidOption` for a job that makes no sense."""
    owner = "create_async_job"
    if not callable(target):
        raise InvalidOption("target", target, owner=owner, expected="a function")
    if is_generator(target):
        expected = "a function without a yield, which would run nothing of it"
        raise InvalidOption("target", target, owner=owner, expected=expected)
    if not (is_number(interval) and 0 < interval < math.inf):
        raise InvalidOption("interval", interval, owner=owner, expected="seconds greater than 0")
    if number is not None and not (is_whole(number) and number >= 1):
        raise InvalidOption("number", number, owner=owner, expected="1 or more, or None")
    if not (is_number(timer) and 0 <= timer < math.inf):
        raise InvalidOption("timer", timer, owner=owner, expected="seconds, 0 or more")
