"""The cache between an attempt and its body, wherever the body runs.

Adapters are asked on an event loop of the cache's own. An attempt in a thread, on the loop of the
async tasks or in a child asks for its turn: either it gets a result, or it is to run the body and
bring what that returned. Of equal jobs in one worker one has the turn and the others wait.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from mainspring.cache.results import PATIENCE, Results
from mainspring.engine.attempts.running import running
from mainspring.engine.cache.cached_task import Plan
from mainspring.engine.cache.single_flight import Turn
from mainspring.errors import NotRunning
from mainspring.supervision.loops.event_loop import EventLoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from mainspring.cache.policy import Cache
    from mainspring.model.job import Claim
    from mainspring.model.task import Registry, Task
    from mainspring.protocols import CacheAdapter, Codec

log = logging.getLogger("mainspring.cache")


class AttemptOver(Exception):
    """An attempt was given up while it waited for its turn: its body must not begin."""


class CachedTasks:
    """The tasks of a consumer, as its cache covers them."""

    def __init__(
        self, tasks: Registry, policies: Mapping[str, Cache], cover: Callable[[Task], Task]
    ) -> None:
        self._tasks = tasks
        self._policies = policies
        self._cover = cover
        self._covered: dict[str, tuple[Task, Cache, Task]] = {}

    def __getitem__(self, name: str) -> Task:
        """Return the task of that name; KeyError if there is none."""
        task = self._tasks.by_name[name]
        if name not in self._policies:
            return task
        policy, known = self._policies[name], self._covered.get(name)
        if known is None or known[0] is not task or known[1] is not policy:
            known = self._covered[name] = task, policy, self._cover(task)
        return known[2]


class JobCache:
    """The cache of one consumer, as a service. `usual` gives that of policies that name none.

    Tasks and policies may come while it runs.
    """

    name = "cache"

    def __init__(
        self,
        tasks: Registry,
        policies: Mapping[str, Cache],
        usual: Callable[[], CacheAdapter],
        codec: Codec,
    ) -> None:
        self._tasks = tasks
        self._policies = policies
        self._usual = usual
        self._codec = codec
        self._thread = EventLoopThread("mainspring-cache")
        self._adapters: dict[int, CacheAdapter] = {}
        self._results: dict[int, Results] = {}
        self._warned: set[str] = set()
        self._holds: Callable[[Claim], bool] = _always
        self._plans: dict[str, tuple[Task, Cache, Plan]] = {}
        self._planning = Lock()

    @property
    def is_used(self) -> bool:
        """True if a task has a cache."""
        return bool(self._policies)

    def over(self, tasks: Registry) -> CachedTasks:
        """Return the tasks; the functions of those that have a cache ask it first.

        Those for child processes are left as they are: a child has no cache.
        """
        return CachedTasks(tasks, self._policies, self._covered)

    def watch(self, holds: Callable[[Claim], bool]) -> None:
        """Set the function that says whether a thread's attempt is still its own."""
        self._holds = holds

    def turn_of(self, claim: Claim) -> Turn | None:
        """Return the turn of a job, None if it is not cached."""
        plan = self._plan_of(claim.task)
        if plan is None:
            return None
        try:
            args, kwargs = self._codec.decode_call(claim.payload, claim.task)
        except Exception:  # noqa: BLE001  # a class of the user's may raise anything
            return None  # the attempt will say so
        return self._turn(plan, claim, args, kwargs)

    async def run(self, started: Callable[[], None]) -> None:
        """Ask adapters on a loop of its own until closed."""
        await self._thread.run(started)

    def close(self) -> None:
        """End; attempts that still wait run their bodies."""
        try:
            self._thread.submit(self._wind_up())
        except NotRunning:
            self._thread.close()

    async def _wind_up(self) -> None:
        for adapter in self._adapters.values():
            # Connections that belong to this loop can't be closed on another.
            if (aclose := getattr(adapter, "aclose", None)) is not None:
                with suppress(Exception):
                    await aclose()
        self._thread.cancel_all()

    def _results_of(self, adapter: CacheAdapter) -> Results:
        self._adapters[id(adapter)] = adapter
        return self._results.setdefault(id(adapter), Results(adapter))

    def _plan_of(self, name: str) -> Plan | None:
        policy = self._policies.get(name)
        if policy is None:
            return None
        task = self._tasks[name]
        with self._planning:
            known = self._plans.get(name)
            if known is None or known[0] is not task or known[1] is not policy:
                adapter = self._usual() if policy.adapter is None else policy.adapter
                plan = Plan(task, policy, self._results_of(adapter))
                known = self._plans[name] = task, policy, plan
        return known[2]

    def _covered(self, task: Task) -> Task:
        plan = self._plan_of(task.name)
        if plan is None or task.executor == "process":
            return task
        ask = self._arun if task.executor == "async" else self._run
        covered = functools.partial(ask, plan, task.function)
        return task.with_options(function=functools.wraps(task.function)(covered))

    def _run(self, plan: Plan, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        turn = self._turn(plan, running.get(), args, kwargs)
        if turn is None:
            return function(*args, **kwargs)
        if not turn.decided.result():
            return turn.value
        with _giving_up(turn):
            self._check_held()
            value = function(*args, **kwargs)
            self._check_storable(plan, value)
        turn.land_and_wait(value)
        return value

    async def _arun(
        self, plan: Plan, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        turn = self._turn(plan, running.get(), args, kwargs)
        if turn is None:
            return await function(*args, **kwargs)
        with _giving_up(turn):
            if not await asyncio.wrap_future(turn.decided):
                return turn.value
            value = await function(*args, **kwargs)
            self._check_storable(plan, value)
            if (kept := turn.land(value)) is not None:
                await asyncio.wait([asyncio.wrap_future(kept)], timeout=PATIENCE + 1)
        return value

    def _check_held(self) -> None:
        claim: Any = running.get()
        if not self._holds(claim):
            raise AttemptOver

    def _check_storable(self, plan: Plan, value: Any) -> None:
        # An attempt that fails of its result has failed: an adapter in memory would keep it.
        self._codec.encode_result(value, plan.task)

    def _turn(
        self, plan: Plan, claim: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Turn | None:
        try:
            key = plan.key(args, kwargs)
        except Exception as error:  # noqa: BLE001  # the user's key function may raise anything
            self.refuse(plan.task, error)
            return None
        turn = Turn(plan.limit(getattr(claim, "options", None)))
        fetch = plan.results.fetch(key, plan.seconds, (turn.lead, (), {}))
        return turn if self._submit(turn, fetch) else None

    def _submit(self, turn: Turn, fetch: Coroutine[Any, Any, tuple[Any, bool]]) -> bool:
        try:
            turn.follow(self._thread.submit(fetch))
        except NotRunning:
            return False
        return True

    def refuse(self, task: str, why: Exception) -> None:
        """Warn once that jobs of a task can't be cached."""
        if task not in self._warned:
            self._warned.add(task)
            log.warning("results of task %r are not cached: %s", task, why)


@contextmanager
def _giving_up(turn: Turn) -> Iterator[None]:
    """Give up the turn if the block raises."""
    try:
        yield
    except BaseException:
        turn.give_up()
        raise


def _always(claim: Claim) -> bool:  # noqa: ARG001  # what `watch` replaces
    return True
