"""The half of the front door that needs no tasks: inspect and act on jobs, queues and workers.

Every call that touches the store blocks; its twin, whose name begins with `a`, does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from mainspring.errors import InvalidOption
from mainspring.model.async_twin import off_loop
from mainspring.model.enqueue_options import wait_of
from mainspring.model.job import JobState
from mainspring.queue import bulk
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.listing import Place, filter_of, read_all, read_page
from mainspring.queue.narrowing import narrowing_of
from mainspring.queue.options import check_queue
from mainspring.queue.priority_order import stored_priority
from mainspring.queue.views import Views

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from datetime import datetime, timedelta

    from mainspring.errors import MainspringError
    from mainspring.protocols import Migratable
    from mainspring.queue.bulk import JobRef
    from mainspring.queue.copying import CopyReport
    from mainspring.queue.listing import JobPage, PageOrder
    from mainspring.queue.narrowing import When

T = TypeVar("T")


class Operations(Views):
    """Views of a store, and operations on its jobs, whatever their tasks. Thread-safe."""

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
        error: str | None = None,
        since: When = None,
        until: When = None,
        cursor: str | None = None,
        page: int | None = None,
        order: PageOrder = "newest",
        limit: int = 100,
    ) -> JobPage:
        """Return a page of the jobs that fit all that is given, newest first.

        `tag` is one of those that `using(tags=[...])` gave. `search` is a text in the job's id,
        task, arguments or error, whatever its case; `error` one in the type or message of its last
        error. `since` and `until` are aware moments, or timedeltas (so long ago), between which it
        ended, or was made if it has not. A page of these may be empty with more to come, see
        `JobPage`. `cursor` is the `.cursor` of the page before, `page` a page's number from 1,
        which costs more the higher it is; without both it is the first. `order="oldest"`: oldest
        first. Raises InvalidOption; the log warns of an empty page for a queue or task that nobody
        knows.
        """
        wanted = filter_of(status, queue, task, search, tag)
        narrowing = narrowing_of("Queue.jobs()", error, since, until)
        place = Place(order=order, cursor=cursor, page=page, limit=limit)
        found = read_page(self._store, self._client, wanted, place, narrowing)
        if not found:
            self._warn_of(queue, task)
        return found

    ajobs = off_loop(jobs)

    def find_jobs(  # noqa: PLR0913  # the fields of a filter
        self,
        *,
        status: str | None = None,
        queue: str | None = None,
        task: str | None = None,
        tag: str | None = None,
        search: str | None = None,
        error: str | None = None,
        since: When = None,
        until: When = None,
    ) -> list[JobHandle[Any]]:
        """Return all the jobs that fit, newest first, to be counted and acted on; see `jobs`.

        Their fields are read when they are asked for, one by one: a table is made of pages.
        """
        wanted = filter_of(status, queue, task, search, tag)
        narrowing = narrowing_of("Queue.find_jobs()", error, since, until)
        found = [
            JobHandle[Any](self._client, record.id, record.task)
            for record in read_all(self._store, wanted, narrowing)
        ]
        if not found:
            self._warn_of(queue, task)
        return found

    afind_jobs = off_loop(find_jobs)

    def dead_letters(  # noqa: PLR0913  # as above
        self,
        *,
        queue: str | None = None,
        task: str | None = None,
        error: str | None = None,
        since: When = None,
        until: When = None,
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
            error=error,
            since=since,
            until=until,
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

    def run_now(self, jobs: JobRef | Iterable[JobRef]) -> list[bool]:
        """Let jobs that wait for their time start now; return for each whether it waited."""
        return self._client.reschedule(bulk.ids_of("Queue.run_now()", jobs), delay=0.0)

    arun_now = off_loop(run_now)

    def reschedule(
        self,
        jobs: JobRef | Iterable[JobRef],
        *,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
    ) -> list[bool]:
        """Let jobs that wait start at another time; return for each whether it waited.

        As `JobHandle.reschedule`, but a time at which a job has expired lets it expire.
        """
        wait = wait_of("Queue.reschedule()", delay, run_at)
        return self._client.reschedule(bulk.ids_of("Queue.reschedule()", jobs), delay=wait)

    areschedule = off_loop(reschedule)

    def reprioritize(self, jobs: JobRef | Iterable[JobRef], priority: int) -> list[bool]:
        """Give jobs that wait another priority; return for each whether it waited."""
        order = self._client.priority_order
        stored = stored_priority("Queue.reprioritize()", priority, order)
        return self._client.reschedule(bulk.ids_of("Queue.reprioritize()", jobs), priority=stored)

    areprioritize = off_loop(reprioritize)

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
