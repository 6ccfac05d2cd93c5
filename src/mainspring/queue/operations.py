"""The half of the front door that needs no tasks: inspect and act on jobs, queues and workers.

Every call that touches the store blocks; its twin, whose name begins with `a`, does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from mainspring.errors import InvalidOption
from mainspring.model.async_twin import off_loop
from mainspring.model.job import JobState
from mainspring.queue import bulk
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.listing import Place, filter_of, read_page
from mainspring.queue.options import check_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from datetime import timedelta

    from mainspring.errors import MainspringError
    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.view import LockRecord
    from mainspring.protocols import JobStore, Migratable
    from mainspring.queue.audit import AuditPage
    from mainspring.queue.binding import Binding
    from mainspring.queue.bulk import JobRef
    from mainspring.queue.client import QueueClient
    from mainspring.queue.copying import CopyReport
    from mainspring.queue.listing import JobPage, PageOrder
    from mainspring.queue.nodes import NodeInfo
    from mainspring.queue.statistics import StatsPoint

T = TypeVar("T")


class Operations:
    """Operations on the jobs of a store, whatever their tasks. Thread-safe."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    @property
    def _client(self) -> QueueClient:
        return self._binding.client

    @property
    def url(self) -> str:
        """The URL of its store; without one of its own, what the environment says until then."""
        return self._binding.url

    @property
    def store(self) -> JobStore:
        """The store that it stands on, for views and tools of your own: see docs/howto/store.md."""
        return self._binding.client.store

    _store = store

    def get_job(self, job_id: str) -> JobHandle[Any] | None:
        """Return the job of that id, or None if there is none (any more)."""
        return bulk.handle_of(self._client, bulk.id_of("Queue.get_job()", job_id))

    aget_job = off_loop(get_job)

    def jobs(  # noqa: PLR0913  # the fields of a filter
        self,
        *,
        status: str | None = None,
        queue: str | None = None,
        task: str | None = None,
        tag: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        page: int | None = None,
        order: PageOrder = "newest",
        limit: int = 100,
    ) -> JobPage:
        """Return a page of the jobs that fit all that is given, newest first.

        `tag` is one of those that `using(tags=[...])` gave. `search` is a text in the job's id,
        task, arguments or error, whatever its case; its page may be empty with more to come, see
        `JobPage`. `cursor` is the `.cursor` of the page before, `page` a page's number from 1,
        which costs more the higher it is; without both it is the first. `order="oldest"`: oldest
        first. Raises InvalidOption; the log warns of an empty page for a queue or task that nobody
        knows.
        """
        wanted = filter_of(status, queue, task, search, tag)
        place = Place(order=order, cursor=cursor, page=page, limit=limit)
        found = read_page(self._store, self._client, wanted, place)
        if not found:
            self._warn_of(queue, task)
        return found

    ajobs = off_loop(jobs)

    def dead_letters(  # noqa: PLR0913  # as above
        self,
        *,
        queue: str | None = None,
        task: str | None = None,
        cursor: str | None = None,
        page: int | None = None,
        order: PageOrder = "newest",
        limit: int = 100,
    ) -> JobPage:
        """Return a page of the failed jobs; see `jobs`."""
        return self.jobs(
            status=JobState.FAILED,
            queue=queue,
            task=task,
            cursor=cursor,
            page=page,
            order=order,
            limit=limit,
        )

    adead_letters = off_loop(dead_letters)

    @overload
    def gather(self, jobs: Iterable[JobHandle[T]], *, timeout: float | None = None) -> list[T]: ...
    @overload
    def gather(
        self,
        jobs: Iterable[JobHandle[T]],
        *,
        timeout: float | None = None,
        return_exceptions: bool,
    ) -> list[T | MainspringError]: ...
    def gather(
        self,
        jobs: Iterable[JobHandle[Any]],
        *,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """Wait until all of these jobs have ended; return their results in the order of the jobs.

        At most `timeout` seconds, then it raises TimeoutError. As soon as a job has failed, its
        error is raised, and the others go on; with `return_exceptions`, errors stand in the list.
        """
        from mainspring.queue.gathering import gather  # noqa: PLC0415  # a lazy door

        return gather(jobs, timeout, return_exceptions=return_exceptions)

    @overload
    async def agather(
        self,
        jobs: Iterable[JobHandle[T]],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as `gather`
    ) -> list[T]: ...
    @overload
    async def agather(
        self,
        jobs: Iterable[JobHandle[T]],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
        return_exceptions: bool,
    ) -> list[T | MainspringError]: ...
    async def agather(
        self,
        jobs: Iterable[JobHandle[Any]],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as `gather`
        return_exceptions: bool = False,
    ) -> list[Any]:
        """Call `gather` without blocking the event loop."""
        from mainspring.queue.gathering import agather  # noqa: PLC0415  # as above

        return await agather(jobs, timeout, return_exceptions=return_exceptions)

    def as_completed(
        self, jobs: Iterable[JobHandle[T]], *, timeout: float | None = None
    ) -> Iterator[JobHandle[T]]:
        """Yield each of these jobs when it has ended, in the order of that.

        Raises TimeoutError when not all have ended after `timeout` seconds.
        """
        from mainspring.queue.gathering import as_completed  # noqa: PLC0415  # as above

        return as_completed(jobs, timeout)

    def aas_completed(
        self, jobs: Iterable[JobHandle[T]], *, timeout: float | None = None
    ) -> AsyncIterator[JobHandle[T]]:
        """Yield as `as_completed` does, without blocking the event loop: for `async for`."""
        from mainspring.queue.gathering import aas_completed  # noqa: PLC0415  # as above

        return aas_completed(jobs, timeout)

    @overload
    def retry(self, jobs: JobRef) -> JobHandle[Any] | None: ...  # type: ignore[overload-overlap]  # a text is one id
    @overload
    def retry(self, jobs: Iterable[JobRef]) -> list[JobHandle[Any] | None]: ...
    def retry(self, jobs: JobRef | Iterable[JobRef]) -> Any:
        """Let failed and cancelled jobs, given by id or handle, run again as if new.

        Returns the live job for each; None for one that is unknown or in another state. Many go in
        several small transactions, so that no claim waits long; so it is with `cancel` and `drop`.
        """
        retried = bulk.retry(self._client, jobs)
        return retried[0] if isinstance(jobs, (str, JobHandle)) else retried

    @overload
    async def aretry(self, jobs: JobRef) -> JobHandle[Any] | None: ...  # type: ignore[overload-overlap]  # as above
    @overload
    async def aretry(self, jobs: Iterable[JobRef]) -> list[JobHandle[Any] | None]: ...
    async def aretry(self, jobs: JobRef | Iterable[JobRef]) -> Any:
        """Call `retry` without blocking the event loop."""
        return await _retry(self, jobs)

    @overload
    def cancel(self, jobs: JobRef) -> bool: ...  # type: ignore[overload-overlap]  # as above
    @overload
    def cancel(self, jobs: Iterable[JobRef]) -> list[bool]: ...
    def cancel(self, jobs: JobRef | Iterable[JobRef]) -> bool | list[bool]:
        """Cancel jobs, given by id or handle; return for each whether it was live."""
        live = self._client.cancel(bulk.ids_of("Queue.cancel()", jobs))
        return live[0] if isinstance(jobs, (str, JobHandle)) else live

    @overload
    async def acancel(self, jobs: JobRef) -> bool: ...  # type: ignore[overload-overlap]  # as above
    @overload
    async def acancel(self, jobs: Iterable[JobRef]) -> list[bool]: ...
    async def acancel(self, jobs: JobRef | Iterable[JobRef]) -> bool | list[bool]:
        """Call `cancel` without blocking the event loop."""
        return await _cancel(self, jobs)

    def drop(self, jobs: JobRef | Iterable[JobRef]) -> int:
        """Drop final jobs, given by id or handle, with their history; return how many."""
        return self._client.drop(bulk.ids_of("Queue.drop()", jobs))

    adrop = off_loop(drop)

    def purge(
        self,
        *,
        status: str | None = None,
        queue: str | None = None,
        task: str | None = None,
        older_than: float | timedelta = 0.0,
    ) -> int:
        """Drop the final jobs that fit, and ended `older_than` seconds ago; return how many.

        In small transactions, so that no claim waits for it.
        """
        dropped = bulk.purge(
            self._store, status=status, queue=queue, task=task, older_than=older_than
        )
        if not dropped:
            self._warn_of(queue, task)
        return dropped

    apurge = off_loop(purge)

    def pause(self, queue: str) -> bool:
        """Start no more jobs of a queue, in any worker; False if it was paused already.

        Of one that nobody knows the log warns: it is paused for the jobs to come.
        """
        self._warn_of(check_queue("Queue.pause()", queue))
        return self._store.pause(queue)

    apause = off_loop(pause)

    def resume(self, queue: str) -> bool:
        """Start jobs of a queue again; False if it was not paused."""
        resumed = self._store.resume(check_queue("Queue.resume()", queue))
        if not resumed:
            self._warn_of(queue)
        return resumed

    aresume = off_loop(resume)

    def paused(self) -> list[str]:
        """Return the names of the paused queues."""
        return self._store.paused()

    apaused = off_loop(paused)

    def nodes(self) -> list[NodeInfo]:
        """Return the processes that drain this store, as values of this moment."""
        from mainspring.queue.nodes import nodes_of, records_of  # noqa: PLC0415  # a lazy door

        return nodes_of(records_of(self._store))

    anodes = off_loop(nodes)

    def locks(self) -> list[LockRecord]:
        """Return the named locks that are held, by name: see `Queue.lock` and `singleton=`."""
        from mainspring.queue.nodes import locks_of  # noqa: PLC0415  # a lazy door

        return locks_of(self._store, self._store.locks())

    alocks = off_loop(locks)

    def migrate(self) -> None:
        """Bring the store's tables to this version, where `auto_migrate=False` leaves that to you.

        Where the store does it by itself, it is done by now.
        """
        if hasattr(self._store, "migrate"):
            cast("Migratable", self._store).migrate()
        else:
            self._store.stats()

    amigrate = off_loop(migrate)

    def copy_to(self, target: Operations, *, into_existing: bool = False) -> CopyReport:
        """Copy all that is in this queue's store into that of another; return how they compare.

        Jobs with ids, order, history, logs and results, unique and idempotency keys, schedules and
        pauses; nothing is changed here, but that jobs of lost workers are recovered. Can be done
        again after a failure. `into_existing`: also into a store with jobs of its own. Raises
        `StoreUnusable`, as for a worker that lives on either side.
        """
        from mainspring.queue.copying import Side, copy  # noqa: PLC0415  # a lazy door

        if not isinstance(target, Operations):
            raise InvalidOption("target", target, owner="Queue.copy_to()", expected="a Queue")
        ends = [Side(one.store, one.url) for one in (self, target)]
        return copy(*ends, into_existing=into_existing)

    acopy_to = off_loop(copy_to)

    def examine(self) -> list[Diagnosis]:
        """Look whether the store is well: files, versions, locks, clock; most basic first."""
        return self._store.examine()

    aexamine = off_loop(examine)

    def stats(self, *, window: float | timedelta = 900.0) -> Mapping[str, Any]:
        """Return the number of jobs in each state, and how far behind the workers are.

        `ready` and `scheduled` are the pending ones, `oldest_ready` the seconds for which the
        first of the ready ones could have run (None: there is none); all of these also by queue
        under `queues`. `unclaimable` are the pending ones of tasks that no live worker knows,
        `workers` the live ones, `slots` theirs by kind: `size` and `busy`, as reported last.

        `recent`, of all, of each queue and of each of the `tasks`, is what workers have written of
        the last `window` seconds (or a timedelta, a day at most): jobs that `completed`, `failed`
        or were `cancelled`, attempts `retried`, jobs a second `out` and `in`, `wait` and `run` with
        `p50`, `p95` and `p99` in seconds, and `empty_in`, the seconds until nothing is ready if it
        goes on like that. None: not known, or never.
        """
        from mainspring.queue.nodes import stats_of  # noqa: PLC0415  # as above
        from mainspring.queue.statistics import window_of  # noqa: PLC0415  # as above

        return stats_of(self._store, window_of("Queue.stats()", "window", window, days=1))

    astats = off_loop(stats)

    def stats_history(
        self,
        last: float | timedelta = 3_600.0,
        *,
        queue: str | None = None,
        task: str | None = None,
    ) -> list[StatsPoint]:
        """Return the numbers of the `last` seconds (or a timedelta), by minutes, oldest first.

        By hours for more than a day; the store keeps them for a month. Of one queue or one task
        only, if that is given. A minute in which no worker ran is left out.
        """
        from mainspring.queue.statistics import fitting, past_of, window_of  # noqa: PLC0415  # as above

        seconds = window_of("Queue.stats_history()", "last", last, days=31)
        return past_of(self._store, seconds).points(fitting(queue, task))

    astats_history = off_loop(stats_history)

    def audit(self, *, cursor: str | None = None, limit: int = 100) -> AuditPage:
        """Return who has changed what from the dashboard and the command line, newest first.

        A page of at most `limit` entries (1,000) of the last month, after the one whose `cursor`
        is given. What programs do by these methods is not in it.
        """
        from mainspring.queue.audit import audit_page  # noqa: PLC0415  # as above

        return audit_page(self._store, cursor, limit)

    aaudit = off_loop(audit)

    def _warn_of(self, queue: str | None, task: str | None = None) -> None:
        """Warn of names that nobody knows: with a slip of the pen nothing would be done."""
        if queue is None and task is None:
            return
        from mainspring.queue.names import warn_of_queues, warn_of_task  # noqa: PLC0415  # a lazy door

        if queue is not None:
            warn_of_queues(self._store, self._client.tasks, [queue])
        if task is not None:
            warn_of_task(self._store, self._client.tasks, task)


_retry = off_loop(Operations.retry)
_cancel = off_loop(Operations.cancel)
