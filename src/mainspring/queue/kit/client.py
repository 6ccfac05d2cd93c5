"""The client of a queue during a test: nobody waits for what no worker will run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.engine.attempts.running import running
from mainspring.errors import JobGone, NotRunning
from mainspring.model.job import JobState
from mainspring.queue.client import QueueClient
from mainspring.queue.names import meant
from mainspring.queue.transaction import Transactions
from mainspring.stores.clock import MICROS, as_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Ended, NewJob
    from mainspring.model.view import JobRecord
    from mainspring.queue.client import Registrations
    from mainspring.queue.kit.clock import MovedClock
    from mainspring.queue.kit.failures import UnseenErrors
    from mainspring.queue.kit.store import PrivateStore
    from mainspring.queue.kit.worker import InlineWorker
    from mainspring.queue.waiter import OnEnd
    from mainspring.telemetry.job_events import JobEvents


T = TypeVar("T")


class TestClient(QueueClient):
    """Enqueues into the private store. With `eager`, it runs at once what is ready."""

    __test__ = False  # for pytest: it holds no tests

    def __init__(  # noqa: PLR0913  # the parts of a test
        self,
        store: PrivateStore,
        known: Registrations,
        worker: InlineWorker,
        clock: MovedClock,
        failures: UnseenErrors,
        *,
        eager: bool,
    ) -> None:
        super().__init__(store, known, Transactions(store, lambda _patience: store))
        self._worker = worker
        self._clock = clock
        self._failures = failures
        self._eager = eager
        self._on_end: dict[str, list[OnEnd]] = {}
        self._private = store

    @property
    def job_events(self) -> JobEvents:
        """The events of jobs, published in the test's thread."""
        return self._worker.job_events

    def enqueue(self, jobs: Sequence[NewJob], connection: Any = None) -> list[str]:
        """Keep new jobs and return their ids."""
        job_ids = super().enqueue(jobs, connection)
        if self._eager:
            self._worker.run_all()
        return job_ids

    async def aenqueue(self, job: NewJob, connection: Any = None) -> str:
        """Keep a new job and return its id."""
        return (await self.aenqueue_many([job], connection))[0]

    async def aenqueue_many(self, jobs: Sequence[NewJob], connection: Any = None) -> list[str]:
        """Keep new jobs and return their ids."""
        enqueue = super().enqueue
        if connection is None:
            job_ids = enqueue(jobs)
        else:
            job_ids = await self.transactions.in_sync(connection, lambda own: enqueue(jobs, own))
        if self._eager:
            await self._worker.arun_all()
        return job_ids

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, with all that its body has said."""
        self._worker.flush()
        return super().get(job_id)

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live. Those that run learn it now."""
        live = super().cancel(job_ids)
        self._worker.hear_orders()
        self.tell_ended()
        return live

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        live = super().retry(job_ids, payload=payload)
        if self._eager:
            self._worker.run_all()
        return live

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Let jobs that wait start after so many seconds, or with that priority, as stored."""
        waited = super().reschedule(job_ids, delay=delay, priority=priority)
        if self._eager:
            self._worker.run_all()
        return waited

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:  # noqa: ARG002  # it never waits
        """Return how the job ended; if it is a body that waits, the job is run first.

        Raises NotRunning where production would wait for a worker.
        """
        if running.get() is not None:
            self._run_awaited(job_id)
        ended = self._ended(job_id)
        if ended is None:
            raise self._not_run(job_id)
        self._failures.see(ended.key)
        return ended

    def ended(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the jobs that have ended."""
        found = self.store.ended(job_ids)
        for ended in found.values():
            self._failures.see(ended.key)
        return list(found)

    def subscribe(self, job_id: str, on_end: OnEnd) -> Callable[[], None]:
        """Call `on_end` when the job has ended; raises as `wait` does."""
        ended = self._ended(job_id)
        if ended is not None:
            self._failures.see(ended.key)
            on_end(ended)
            return _nothing
        self._on_end.setdefault(job_id, []).append(on_end)
        if running.get() is not None:
            self._run_beside(job_id)
        elif not self._worker.is_running:
            del self._on_end[job_id]
            raise self._not_run(job_id)
        return _nothing

    async def off_loop(self, call: Callable[[], T]) -> T:
        """Call it here: what is waited for may run on this loop."""
        return call()

    def tell_ended(self) -> None:
        """Call back those who wait for jobs that have ended."""
        for job_id, ended in self.store.ended(list(self._on_end)).items():
            for on_end in self._on_end.pop(job_id, ()):
                self._failures.see(ended.key)
                on_end(ended)

    def _run_beside(self, job_id: str) -> None:
        """Run what is ready for a body that waits: at once, or beside a coroutine."""
        if asyncio._get_running_loop() is None:  # noqa: SLF001  # documented, and does not raise
            self._run_awaited(job_id)
            self._tell_or_refuse(job_id)
        else:
            self._worker.run_beside(self._arun_awaited(job_id))

    def _run_awaited(self, job_id: str) -> None:
        """Run what is ready in the midst of a body that waits for a job: that job first."""
        self._private.put_first(job_id)
        self._worker.run_ready(lambda: self._ended(job_id) is not None)

    async def _arun_awaited(self, job_id: str) -> None:
        """Do the same beside a coroutine, and tell it."""
        self._private.put_first(job_id)
        await self._worker.arun_ready(lambda: self._ended(job_id) is not None)
        self._tell_or_refuse(job_id)

    def _tell_or_refuse(self, job_id: str) -> None:
        """Call back who waits with how the job ended, or that it will not run."""
        self.tell_ended()
        record = self.store.get(job_id)
        if job_id in self._on_end and (record is None or record.state is not JobState.RUNNING):
            for on_end in self._on_end.pop(job_id):
                on_end(self._not_run(job_id))

    def _ended(self, job_id: str) -> Ended | None:
        return self.store.ended([job_id]).get(job_id)

    def _not_run(self, job_id: str) -> NotRunning | JobGone:
        record = self.store.get(job_id)
        if record is None:
            return JobGone(job_id)
        named = f"job {job_id} ({record.task})"
        wait = (as_micros(record.run_at) - self._clock.micros) / MICROS
        if record.state is JobState.RUNNING:
            return NotRunning(f"{named} is in the midst of its run, and has no result yet")
        if record.task not in self.tasks:
            hint = meant(record.task, [task.name for task in self.tasks])
            return NotRunning(f"{named} can't run: this program has no task of that name{hint}")
        if record.queue in self.store.paused():
            resume = f"resume({record.queue!r}) before you ask for its result"
            return NotRunning(f"{named} waits in a queue that is paused: call {resume}")
        if wait > 0:
            return NotRunning(
                f"{named} is not due before {wait:g} s of the test's clock are over: "
                f"call run(seconds={wait:g}) before you ask for its result"
            )
        return NotRunning(
            f"{named} has not run, and no worker will: call run() of what queue.testing() gave "
            "before you ask for its result"
        )


def _nothing() -> None:
    """Forget nothing: whoever waits no more is not told."""
