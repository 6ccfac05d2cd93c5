"""The seams of mainspring: read this file first.

Who calls down through which seam:

    Queue, JobHandle  ->  Store.enqueue_many, Catalog
    engine            ->  Store (claims in, outcomes out), Executor (claims to slots)
    supervision       ->  Service (anything with a lifetime), Trigger (when a worker runs)
    pool              ->  CacheAdapter (results by key)
    everybody         ->  Subscriber (what happened, as values)

Stores are synchronous and safe to call from any thread. Only durations go into a store: each owns
its clock.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from mainspring.model.events import Event
    from mainspring.model.job import (
        AttemptRecord,
        Claim,
        Ended,
        Exchanged,
        JobRecord,
        NewJob,
        NodeRecord,
        Outcome,
        Rescued,
        Want,
    )


@runtime_checkable
class Service(Protocol):
    """Anything with a lifetime, owned by a supervisor.

    The contract, checked by `mainspring.testing.ServiceContract`: `close()` only asks, from any
    thread, any number of times, also before `run` or while it starts; `run` returning is the
    answer. `run` calls `started()` exactly once, as soon as others may rely on it, and raises what
    made it fail. A service that was closed before `run` calls `started()` and returns at once.
    """

    @property
    def name(self) -> str:
        """What the supervisor, the log and the views call it."""
        ...

    async def run(self, started: Callable[[], None]) -> None:
        """Live, from start to end, on the supervisor's loop."""
        ...

    def close(self) -> None:
        """Ask to end."""
        ...


class Schedule(Protocol):
    """When something is due, as a pure rule: no clock of its own."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment` (both aware), or None if there is no further."""
        ...


class Trigger(Protocol):
    """Decides when a worker runs, without waiting itself.

    A driver (a thread or an event loop) asks `due`, sleeps so long or until woken, then calls
    `take`, runs the target, and reports `done`. `now` is `time.monotonic()`. All methods are
    called by one driver; only `wake` and `close` may come from any thread, and both end the
    driver's sleep through the function given to `bind`.
    """

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the driver's sleep; callable from any thread."""
        ...

    def due(self, now: float) -> float | None:
        """Return the seconds until the next firing (0 or less: now; None: not before a wake)."""
        ...

    def take(self, now: float) -> tuple[object, ...]:
        """Consume the firing that is due; return positional arguments for the target."""
        ...

    def done(self, now: float) -> None:
        """Learn that the run which `take` began has ended, however it ended."""
        ...

    def wake(self) -> None:
        """Fire as soon as possible."""
        ...

    def close(self) -> None:
        """Fire no more."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        ...


class Executor(Service, Protocol):
    """Runs attempts in slots of one kind. Outcomes go to the function it was made with.

    `submit` never blocks and may be called from any thread; a claim waits in order until a slot is
    free, or until it is withdrawn.
    """

    @property
    def kind(self) -> str:
        """`async`, `thread` or `process`: what a task's `executor` says."""
        ...

    @property
    def size(self) -> int:
        """How many attempts run at once."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether `interrupt` ends a body that runs (a thread's can only be abandoned)."""
        ...

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        ...

    def withdraw(self, count: int) -> list[Claim]:
        """Take back up to `count` claims, oldest first, whose body has not begun."""
        ...

    def waiting(self) -> int:
        """How many submitted claims no slot has taken yet."""
        ...

    def running(self) -> int:
        """How many attempts run now."""
        ...

    def began(self) -> float:
        """Return when the oldest running attempt began (monotonic), infinity if none runs."""
        ...

    def interrupt(self, outcome: Callable[[Claim], Outcome]) -> None:
        """End every running attempt with that outcome; a body that can't be ended is abandoned."""
        ...


class Listener(Protocol):
    """The sleeping side of a store's wake-ups. One thread waits; any may poke or close."""

    def wait(self, timeout: float) -> bool:
        """Sleep until there may be something new (True), or `timeout` seconds, or `close`."""
        ...

    def poke(self) -> None:
        """End the wait, or the next one, as if something were new; costs a few microseconds."""
        ...

    def close(self) -> None:
        """End the wait, from any thread."""
        ...


class Ear(Protocol):
    """A second place to wait for a listener's news, woken instead of the first."""

    def wait(self) -> bool:
        """Sleep until there may be something new (True), or until poked (False)."""
        ...

    def poke(self) -> None:
        """End the wait, or the next one; from any thread."""
        ...


@runtime_checkable
class SharedListener(Protocol):
    """A listener at which an idle slot can wait beside the one who listens always."""

    def ear(self) -> Ear | None:
        """Return that place, asked for before the first wait; None where there can be none."""
        ...


@runtime_checkable
class Hearing(Protocol):
    """An executor whose idle slots can wait for work themselves, which saves a thread hop."""

    def hear(self, ear: Ear, heard: Callable[[], None]) -> None:
        """Let one idle slot at a time wait at `ear`, and call `heard` in its thread."""
        ...


class Store(Protocol):
    """Keeps jobs. What the engine and producers need of it; views read `Catalog`.

    Every method is one transaction: all of it holds, or none. Errors: `StoreBusy`,
    `StoreUnusable`. Each verb's statement for SQLite, PostgreSQL and Redis stands in
    docs/decisions/0002-store-verbs.md.
    """

    @property
    def run_dir(self) -> Path | None:
        """Where nodes of this host keep lock and board; None: nodes share this process."""
        ...

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, as durably as the store was asked to, and return their ids in order."""
        ...

    def join(self, name: str, *, host: str, pid: int, lease: float) -> int:
        """Add a node with a lease of so many seconds; return its key."""
        ...

    def renew(self, node: int, *, lease: float) -> bool:
        """Renew a node's lease; False if it is gone: rescued, or never joined."""
        ...

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back to pending, uncharged."""
        ...

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction.

        An outcome with a stale fence changes nothing and is answered False. Claims come by
        priority, then `run_at`, then order of enqueuing. `next_due` is of the lanes wanted; 0.0
        asks to be called again at once. A node that is gone raises `LeaseLost`, and changes
        nothing; one whose lease has run out is not gone before somebody has rescued it.
        """
        ...

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        ...

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        ...

    def rescue(
        self, node: int, *, dead: bool, begun: Collection[tuple[int, int]] | None
    ) -> Rescued | None:
        """Take a lost node's jobs from it and remove it.

        None if its lease still runs, or somebody was faster.

        `dead` says that its kernel lock is free, so that the lease need not have run out. `begun`
        holds (key, fence) of each body that had begun: only those are charged a crash; None: the
        board can't be read, and all are charged.
        """
        ...

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many.

        Cancelled jobs are kept as long as completed ones.
        """
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"` (work to claim) or `"ended"` (jobs that ended)."""
        ...

    def close(self) -> None:
        """Let go of files and connections; harmless when done twice, undone by the next use."""
        ...


class Catalog(Protocol):
    """What views read of a store."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        ...

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        ...

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        ...

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state; a queue without jobs may be absent."""
        ...

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        ...


class CacheAdapter(Protocol):
    """Keeps results by key: subclass it, or write a class that looks the same.

    Keys begin with `task_cache:`. Values come as they are; an adapter that stores them elsewhere
    encodes them. What it raises costs a log line and fails no task.
    """

    @abstractmethod
    async def get(self, key: str) -> tuple[bool, Any]:
        """Return whether there is a value that has not expired, and the value."""
        ...

    @abstractmethod
    async def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        """Keep a value for `ttl` whole seconds, or for good."""
        ...

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one."""
        ...

    @abstractmethod
    async def clear(self) -> None:
        """Drop every value."""
        ...


class Subscriber(Protocol):
    """Is told what happened; must not block. What it raises is logged and goes no further."""

    def __call__(self, event: Event) -> None:
        """Take notice of an event."""
        ...
