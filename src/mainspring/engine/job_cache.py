"""The cache between an attempt and its body, wherever the body runs.

Adapters are asked on an event loop of the cache's own. An attempt in a thread, on the loop of the
async tasks or in a child asks for its turn: either it gets a result, or it is to run the body and
bring what that returned. Of equal jobs in one worker one has the turn and the others wait.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mainspring.cache.keys import cache_key
from mainspring.cache.results import PATIENCE, Results
from mainspring.engine.context import running
from mainspring.errors import NotRunning
from mainspring.model.shape import shape_of
from mainspring.model.task import Registry
from mainspring.supervision.event_loop import EventLoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from mainspring.cache.policy import Cache
    from mainspring.model.job import Claim
    from mainspring.model.task import Task
    from mainspring.protocols import CacheAdapter, Codec

log = logging.getLogger("mainspring.cache")


class AttemptOver(Exception):
    """An attempt was given up while it waited for its turn: its body must not begin."""


class Turn:
    """One attempt's turn at a key. `decided` is done when it is known whether it runs the body."""

    def __init__(self, limit: float | None) -> None:
        self.decided: Future[bool] = Future()
        self.value: Any = None
        self.limit = limit
        self._landing: asyncio.Future[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fetching: Future[tuple[Any, bool]] | None = None

    def follow(self, fetching: Future[tuple[Any, bool]]) -> None:
        """Learn what asks the cache for it."""
        self._fetching = fetching
        fetching.add_done_callback(self._note_value)

    async def lead(self) -> Any:
        """Have the body run elsewhere, and return its value; on the cache's loop."""
        self._loop = asyncio.get_running_loop()
        self._landing = self._loop.create_future()
        self._decide(leads=True)
        if self.decided.cancelled():
            raise asyncio.CancelledError
        try:
            # Who runs past its time may never come back: others must not wait for it.
            async with asyncio.timeout(self.limit):
                return await self._landing
        except TimeoutError:
            raise asyncio.CancelledError from None

    def land(self, value: Any) -> Future[tuple[Any, bool]] | None:
        """Give the cache the body's value; return what is done when it is kept."""
        # A loop that is closed keeps nothing any more.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._settle, value)
                return self._fetching
        return None

    def land_and_wait(self, value: Any) -> None:
        """Give the cache the body's value, and wait until it is kept; not on a loop."""
        if (kept := self.land(value)) is not None:
            wait([kept], PATIENCE + 1)

    def give_up(self) -> None:
        """Let the next of those that wait run its body."""
        if self._fetching is not None:
            self._fetching.cancel()

    def _settle(self, value: Any) -> None:
        if self._landing is not None and not self._landing.done():
            self._landing.set_result(value)

    def _note_value(self, fetching: Future[tuple[Any, bool]]) -> None:
        if not fetching.cancelled() and fetching.exception() is None:
            self.value = fetching.result()[0]
            self._decide(leads=False)
        else:
            # The cache has failed, or ends: a body that nobody waits for is no harm to others.
            self._decide(leads=True)

    def _decide(self, *, leads: bool) -> None:
        # It may be decided already, or given up.
        with suppress(InvalidStateError):
            self.decided.set_result(leads)


class JobCache:
    """The cache of one consumer, as a service. `usual` is for policies that name no adapter."""

    name = "cache"

    def __init__(
        self,
        tasks: Registry,
        policies: Mapping[str, Cache],
        usual: CacheAdapter,
        codec: Codec,
    ) -> None:
        self._codec = codec
        self._thread = EventLoopThread("mainspring-cache")
        self._adapters: dict[int, CacheAdapter] = {}
        self._results: dict[int, Results] = {}
        self._told: set[str] = set()
        self._holds: Callable[[Claim], bool] = _always
        self._plans: dict[str, Plan] = {}
        for task in tasks:
            if (policy := policies.get(task.name)) is not None:
                results = self._results_of(usual if policy.adapter is None else policy.adapter)
                self._plans[task.name] = Plan(task, policy, results)

    def __contains__(self, task: object) -> bool:
        return task in self._plans

    def over(self, tasks: Registry) -> Registry:
        """Return the tasks; the functions of those that have a cache ask it first.

        Those for child processes are left as they are: a child has no cache.
        """
        covered = Registry()
        for task in tasks:
            covered.add(self._covered(task))
        return covered

    def watch(self, holds: Callable[[Claim], bool]) -> None:
        """Take what tells whether a thread's attempt is still its own."""
        self._holds = holds

    def turn_of(self, claim: Claim) -> Turn | None:
        """Return the turn of a job, None if it is not cached."""
        if claim.task not in self._plans:
            return None
        try:
            args, kwargs = self._codec.decode_call(claim.payload)
        except ValueError:
            return None  # the attempt will say so
        return self._turn(self._plans[claim.task], args, kwargs)

    async def run(self, started: Callable[[], None]) -> None:
        """Ask adapters on a loop of its own until closed."""
        await self._thread.run(started)

    def close(self) -> None:
        """End; attempts that still wait run their bodies."""
        try:
            self._thread.submit(self._wind_up())
        except NotRunning:
            self._thread.close()

    def stats(self) -> dict[str, int]:
        """Return how often results were found or not, and how often an adapter failed."""
        every = self._results.values()
        return {
            "hits": sum(one.hits for one in every),
            "misses": sum(one.misses for one in every),
            "errors": sum(one.troubles for one in every),
        }

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

    def _covered(self, task: Task) -> Task:
        plan = self._plans.get(task.name)
        if plan is None or task.executor == "process":
            return task
        ask = self._arun if task.executor == "async" else self._run
        covered = functools.partial(ask, plan, task.function)
        return task.with_options(function=functools.wraps(task.function)(covered))

    def _run(self, plan: Plan, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        turn = self._turn(plan, args, kwargs)
        if turn is None:
            return function(*args, **kwargs)
        if not turn.decided.result():
            return turn.value
        with _giving_up(turn):
            self._check_held()
            value = function(*args, **kwargs)
            self._check_storable(value)
        turn.land_and_wait(value)
        return value

    async def _arun(
        self, plan: Plan, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        turn = self._turn(plan, args, kwargs)
        if turn is None:
            return await function(*args, **kwargs)
        with _giving_up(turn):
            if not await asyncio.wrap_future(turn.decided):
                return turn.value
            value = await function(*args, **kwargs)
            self._check_storable(value)
            if (kept := turn.land(value)) is not None:
                await asyncio.wait([asyncio.wrap_future(kept)], timeout=PATIENCE + 1)
        return value

    def _check_held(self) -> None:
        claim: Any = running.get()
        if not self._holds(claim):
            raise AttemptOver

    def _check_storable(self, value: Any) -> None:
        # An attempt that fails of its result has failed: an adapter in memory would keep it.
        self._codec.encode_result(value)

    def _turn(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Turn | None:
        try:
            key = plan.key(args, kwargs)
        except Exception as error:  # noqa: BLE001  # the user's key function may raise anything
            self._refuse(plan.task, error)
            return None
        turn = Turn(plan.limit)
        fetch = plan.results.fetch(key, plan.seconds, (turn.lead, (), {}))
        return turn if self._submit(turn, fetch) else None

    def _submit(self, turn: Turn, fetch: Coroutine[Any, Any, tuple[Any, bool]]) -> bool:
        try:
            turn.follow(self._thread.submit(fetch))
        except NotRunning:
            return False
        return True

    def _refuse(self, task: str, why: Exception) -> None:
        """Say once that jobs of a task can't be cached."""
        if task not in self._told:
            self._told.add(task)
            log.warning("results of task %r are not cached: %s", task, why)


class Plan:
    """How one task is cached."""

    def __init__(self, task: Task, policy: Cache, results: Results) -> None:
        self.task = task.name
        self.limit = task.timeout
        self.seconds = policy.seconds
        self.results = results
        self._shape = shape_of(task.name, task.function)
        self._name = policy.key if isinstance(policy.key, str) else identity(task)
        self._told_by = policy.key if callable(policy.key) else None

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a job; raises what its values, or the user's function, raise."""
        if self._told_by is None:
            return cache_key(self._name, self._shape, args, kwargs)
        told = (self._told_by(*args, **kwargs),)
        # Marked, or it might meet the key of arguments as they are.
        return cache_key(f"{self._name}()", _ONE, told, {})


@contextmanager
def _giving_up(turn: Turn) -> Iterator[None]:
    """Give the turn up if what is inside raises."""
    try:
        yield
    except BaseException:
        turn.give_up()
        raise


def identity(task: Task) -> str:
    """Return a name that no other function has: two queues may have tasks of one name."""
    home = f"{task.module}.{task.qualname}"
    return f"job:{task.name}" if task.name == home else f"job:{task.name}@{home}"


_ONE = shape_of("key", lambda value: value)


def _always(claim: Claim) -> bool:  # noqa: ARG001  # what `watch` replaces
    return True
