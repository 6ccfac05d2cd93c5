"""A job as a test looks at it: values of this moment, with the error as it was raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.errors import JobError
from mainspring.model.job import FINAL, JobState
from mainspring.queue.record_fields import RecordFields

if TYPE_CHECKING:
    from mainspring.model.view import JobRecord
    from mainspring.queue.client import QueueClient
    from mainspring.queue.job_handle import JobHandle
    from mainspring.queue.kit.failures import UnseenErrors


class TestJob(RecordFields):
    """A job of a test. `handle` is what `delay` returned; the rest is as of the reading."""

    __test__ = False  # for pytest: it holds no tests

    def __init__(
        self,
        record: JobRecord,
        client: QueueClient,
        failures: UnseenErrors,
        handle: JobHandle[Any],
        raised: BaseException | None,
    ) -> None:
        self._record = record
        self.handle = handle
        self._client = client
        self._failures = failures
        self._raised = raised

    def __repr__(self) -> str:
        return f"<{self.status} job {self.call}>"

    @property
    def record(self) -> JobRecord:
        """All that the store had of it."""
        return self._record

    @property
    def id(self) -> str:
        """The job's id, as `delay` gave it."""
        return self.record.id

    @property
    def task(self) -> str:
        """The task's name."""
        return self.record.task

    @property
    def status(self) -> JobState:
        """The job's state."""
        return self.record.state

    @property
    def attempts(self) -> int:
        """Attempts that it has had; snoozes do not count."""
        return self.record.attempts

    @property
    def delay(self) -> float:
        """Seconds from its enqueuing to the moment from which it may start (again)."""
        return (self.record.run_at - self.record.created_at).total_seconds()

    @property
    def log(self) -> list[str]:
        """Lines that its bodies have logged; oldest first."""
        return [line.text for line in self._client.log(self.id)]

    @property
    def result(self) -> Any:
        """The result as a caller gets it. Raises the body's error, JobCancelled or NotRunning."""
        if self.status is JobState.FAILED and self._raised is not None:
            self._failures.see(self.record.key)
            raise self._raised
        return self.handle.result(0)

    @property
    def error(self) -> BaseException | None:
        """The error of its last attempt, as it was raised; None if that went well."""
        self._failures.see(self.record.key)
        if self.status is JobState.COMPLETED or self.record.failure is None:
            return None
        if self._raised is not None or self.status not in FINAL:
            return self._raised
        try:
            self.handle.result(0)
        except JobError as error:
            return error
        return None

    @property
    def call(self) -> str:
        """The job as the call that it is, for messages."""
        values = [repr(value) for value in self.args]
        values += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.task.rpartition('.')[2]}({', '.join(values)})"
