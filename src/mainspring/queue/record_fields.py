"""The fields of a job's record, as properties of whoever has the record."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.model.view import JobRecord
    from mainspring.queue.client import QueueClient


class RecordFields:
    """Fields of a job; each is that of `record` when it is asked for."""

    __slots__ = ()

    _client: QueueClient

    @property
    @abstractmethod
    def record(self) -> JobRecord:
        """All that the store has of the job."""

    @property
    def queue(self) -> str:
        """The queue it is in."""
        return self.record.queue

    @property
    def priority(self) -> int:
        """Lower is more urgent."""
        return self.record.priority

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""
        record = self.record
        return self._client.codec.decode_call(record.payload, record.task)[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        record = self.record
        return self._client.codec.decode_call(record.payload, record.task)[1]

    @property
    def attempt(self) -> int:
        """The attempt that runs, or that ran last, from 1; 0 before the first.

        Those that were not charged (crashes, snoozes) count as none, once they are over.
        """
        return self.record.attempts

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that `using(tags=[...])` gave it."""
        return self.record.options.tags

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that `using(metadata={...})` gave it."""
        return self.record.options.metadata

    @property
    def progress(self) -> float:
        """Progress reported by its body, from 0 to 1; 1 once it has completed."""
        return self.record.progress

    @property
    def message(self) -> str:
        """Message that its body last reported along with its progress."""
        return self.record.message

    @property
    def created_at(self) -> datetime:
        """Time of its enqueuing (aware UTC)."""
        return self.record.created_at

    @property
    def run_at(self) -> datetime:
        """Earliest time of its start (aware UTC)."""
        return self.record.run_at

    @property
    def started_at(self) -> datetime | None:
        """Time at which its last attempt began (aware UTC)."""
        return self.record.started_at

    @property
    def completed_at(self) -> datetime | None:
        """Time at which it ended for good, however it ended (aware UTC)."""
        return self.record.completed_at
