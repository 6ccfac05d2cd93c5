"""Client of one queue: enqueues, reads, waits and decodes for its handles, tasks and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mainspring.engine.upkeep.batches import in_batches
from mainspring.model.signature import task_signature
from mainspring.queue.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from mainspring.engine.locks.keeper import LockKeeper
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.job import Ended, NewJob
    from mainspring.model.middleware import Middleware
    from mainspring.model.note import LogLine
    from mainspring.model.sending import Sender, Sending
    from mainspring.model.task import Registry
    from mainspring.model.view import AttemptRecord, JobRecord
    from mainspring.protocols import Codec, JobStore
    from mainspring.queue.enqueue_batcher import EnqueueBatchers
    from mainspring.queue.explanation import Explanation
    from mainspring.queue.priority_order import PriorityOrder
    from mainspring.queue.transaction import Transactions
    from mainspring.queue.waiter import OnEnd
    from mainspring.telemetry.event_feed import EventFeed
    from mainspring.telemetry.job_events import JobEvents


T = TypeVar("T")


class Registrations(Protocol):
    """The registrations of a program with a queue: its codec, tasks and error classes."""

    codec: Codec
    tasks: Registry
    errors: dict[str, type[Exception]]
    middleware: list[Middleware]
    senders: list[Sender]
    feed: EventFeed

    @property
    def job_events(self) -> JobEvents:
        """The maker of events of jobs."""
        ...

    @property
    def priority_order(self) -> PriorityOrder:
        """The order of two priorities as the program writes them."""
        ...


class QueueClient:
    """Shared by the handles and schedules of one queue, and asked by its tasks. Thread-safe.

    `errors` are the exceptions that the program has registered, by full name.
    """

    def __init__(self, store: JobStore, known: Registrations, transactions: Transactions) -> None:
        self.store = store
        self.codec = known.codec
        self.tasks = known.tasks
        self.errors = known.errors
        self.priority_order: PriorityOrder = known.priority_order
        self.transactions = transactions
        self._known = known
        self._feed = known.feed
        self._senders = known.senders
        self._waiter = Waiter(store)
        self._batchers: EnqueueBatchers | None = None
        self._keepers: dict[None, LockKeeper] = {}

    @property
    def job_events(self) -> JobEvents:
        """The maker of events of jobs."""
        return self._known.job_events

    def enqueue(self, jobs: Sequence[NewJob], connection: Any = None) -> list[str]:
        """Keep new jobs, in the transaction of `connection` if there is one; return their ids."""
        if self._senders:
            with self._sending(jobs) as sending:
                job_ids = sending.ids = self._keep(sending.jobs, connection)
        else:
            job_ids = self._keep(jobs, connection)
        return self._told(jobs, job_ids) if self._feed.wanted else job_ids

    async def aenqueue(self, job: NewJob, connection: Any = None) -> str:
        """Keep a new job without blocking the loop; return its id."""
        if self._senders:
            with self._sending([job]) as sending:
                job_id = await self._akeep(sending.jobs[0], connection)
                sending.ids = [job_id]
        else:
            job_id = await self._akeep(job, connection)
        return self._told([job], [job_id])[0] if self._feed.wanted else job_id

    async def aenqueue_many(self, jobs: Sequence[NewJob], connection: Any = None) -> list[str]:
        """Keep new jobs in one transaction without blocking the loop; return their ids."""
        if connection is not None:
            enqueue = self.enqueue
            return await self.transactions.in_sync(connection, lambda own: enqueue(jobs, own))
        if self._senders:
            with self._sending(jobs) as sending:
                job_ids = sending.ids = await self._akeep_many(sending.jobs)
        else:
            job_ids = await self._akeep_many(jobs)
        return self._told(jobs, job_ids) if self._feed.wanted else job_ids

    def _keep(self, jobs: Sequence[NewJob], connection: Any) -> list[str]:
        if connection is not None:
            return self.transactions.enqueue(connection, jobs)
        if self.transactions.in_the_way():
            return self.transactions.enqueue_beside(jobs)
        return self.store.enqueue_many(jobs)

    async def _akeep(self, job: NewJob, connection: Any) -> str:
        if connection is not None:
            theirs = self.transactions
            return (await theirs.in_sync(connection, lambda own: theirs.enqueue(own, [job])))[0]
        if self._batchers is None:
            from mainspring.queue.enqueue_batcher import EnqueueBatchers  # noqa: PLC0415  # a lazy door

            self._batchers = EnqueueBatchers(self.store)
        if self.transactions.in_the_way():
            return await self._batchers.alone(self.transactions.enqueue_beside, job)
        if job.on_conflict != "return_existing":
            # In a batch, a conflict would refuse those who have nothing to do with it.
            return await self._batchers.alone(self.store.enqueue_many, job)
        return await self._batchers.here().enqueue(job)

    async def _akeep_many(self, jobs: Sequence[NewJob]) -> list[str]:
        import asyncio  # noqa: PLC0415  # a lazy door

        in_the_way = self.transactions.in_the_way()
        keep = self.transactions.enqueue_beside if in_the_way else self.store.enqueue_many
        return await asyncio.to_thread(keep, jobs)

    def _sending(self, jobs: Sequence[NewJob]) -> AbstractContextManager[Sending]:
        from mainspring.model.sending import sending  # noqa: PLC0415  # as above

        return sending(self._senders, jobs)

    def _told(self, jobs: Sequence[NewJob], job_ids: list[str]) -> list[str]:
        self.job_events.enqueued(jobs, job_ids)
        return job_ids

    def check_connection(self, owner: str, connection: object) -> None:
        """Raise InvalidOption if the store can't take jobs into somebody's transaction."""
        self.transactions.check(owner, connection)

    def encode(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return a payload; its arguments are checked if the task is known here."""
        if task in self.tasks:
            known = self.tasks[task]
            task_signature(task, known.function, known.injected).check(args, kwargs)
        return self.codec.encode_call(task, args, kwargs)

    def slots(self, task: str) -> str | None:
        """Return the kind of slot that runs a task, None if it is not known here."""
        return self.tasks[task].executor if task in self.tasks else None

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, None if it is gone."""
        return self.store.get(job_id)

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return its attempts."""
        return self.store.history(job_id)

    def log(self, job_id: str) -> list[LogLine]:
        """Return what its bodies have logged."""
        return self.store.log(job_id)

    def explain(self, record: JobRecord) -> Explanation:
        """Return why a job does not run."""
        from mainspring.queue.explanation import explain  # noqa: PLC0415  # a lazy door

        return explain(self.store, record, self.slots(record.task))

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live."""
        lives = [live for batch in in_batches(job_ids) for live in self.store.cancel(batch)]
        if self._feed.wanted:
            ended = [job_id for job_id, live in zip(job_ids, lives, strict=True) if live]
            self.job_events.cancelled(ended)
        return lives

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        retry = self.store.retry
        return [live for batch in in_batches(job_ids) for live in retry(batch, payload=payload)]

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Let jobs that wait start after so many seconds, or with that priority, as stored.

        Return for each whether it waited.
        """
        move = self.store.reschedule
        batches = in_batches(job_ids)
        return [one for some in batches for one in move(some, delay=delay, priority=priority)]

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs; return how many."""
        return sum(self.store.drop(batch) for batch in in_batches(job_ids))

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds."""
        return self._waiter.wait(job_id, timeout)

    def ended(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the jobs that have ended."""
        return [one for batch in in_batches(job_ids) for one in self.store.ended(batch)]

    def subscribe(self, job_id: str, on_end: OnEnd) -> Callable[[], None]:
        """Call `on_end` when the job has ended, or with why that can't be known."""
        return self._waiter.subscribe(job_id, on_end)

    async def off_loop(self, call: Callable[[], T]) -> T:
        """Call what asks the store without blocking the event loop."""
        import asyncio  # noqa: PLC0415  # a lazy door

        return await asyncio.to_thread(call)

    def lock_keeper(self, settings: WorkerSettings) -> LockKeeper:
        """Return the keeper of this process's locks in the store."""
        keeper = self._keepers.get(None)
        if keeper is None:
            from mainspring.engine.locks.keeper import LockKeeper  # noqa: PLC0415  # a lazy door

            new = LockKeeper(self.store, lease=settings.lease, heartbeat=settings.heartbeat)
            # One step: of two that threads have made at once, one stays, and the other has no node.
            keeper = self._keepers.setdefault(None, new)
        return keeper

    def close(self) -> None:
        """End the threads that wait for results and keep locks; what these hold is lost."""
        for keeper in list(self._keepers.values()):
            keeper.close()
        self._waiter.close()
        self.transactions.close()
