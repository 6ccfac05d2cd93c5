"""Events one a job, made of what the engine and producers do, for those who asked for them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.clock import utc_now
from mainspring.errors import StoreError
from mainspring.model.events import KINDS, AttemptsEnded, NodeRescued, OrphansRescued
from mainspring.model.job import EXPIRED, JobState, OutcomeKind
from mainspring.model.job_event import JobEvent, JobTexts
from mainspring.model.view import JobFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Failure, NewJob, Outcome
    from mainspring.model.note import Note
    from mainspring.model.view import JobRecord
    from mainspring.protocols import Catalog, Codec
    from mainspring.telemetry.event_feed import EventFeed

_KIND_OF_OUTCOME = {
    OutcomeKind.COMPLETED: "completed",
    OutcomeKind.RETRY: "retried",
    OutcomeKind.FAILED: "failed",
    OutcomeKind.CANCELLED: "cancelled",
    OutcomeKind.SNOOZED: "snoozed",
    OutcomeKind.CRASHED: "rescued",
}
"""A claim that was given back is none of them: nothing has happened to its job."""

_WAITS = frozenset({"retried", "snoozed", "rescued"})


class EventSubject(Protocol):
    """The part of a job that claims and records have in common."""

    @property
    def id(self) -> str:
        """The public id."""
        ...

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def queue(self) -> str:
        """The queue's name."""
        ...

    @property
    def payload(self) -> bytes:
        """The encoded arguments."""
        ...


class JobEvents:
    """Makes events of jobs, and hands on all others, to `publish`; nothing that nobody wants.

    A subscriber of the engine's events itself. `codec` decodes what subscribers look at, `catalog`
    is asked for jobs of which only the key is known.
    """

    def __init__(
        self,
        feed: EventFeed,
        codec: Codec,
        catalog: Callable[[], Catalog],
        publish: Callable[[str, Event], None] | None = None,
    ) -> None:
        self.feed = feed
        self._codec = codec
        self._catalog = catalog
        self._publish = publish or feed.publish

    def __call__(self, event: Event) -> None:
        """Handle an event of the engine."""
        wanted = self.feed.wanted
        if not wanted:
            return
        if isinstance(event, AttemptsEnded):
            for claim, outcome in event.ended:
                self._publish_ended(claim, outcome)
            return
        kind = KINDS.get(type(event))
        if kind is not None and kind in wanted:
            self._publish(kind, event)
        if isinstance(event, (NodeRescued, OrphansRescued)):
            self._publish_rescued(event)

    def enqueued(self, jobs: Sequence[NewJob], job_ids: Sequence[str]) -> None:
        """Publish jobs that the store has taken; with a unique key it may be one it had."""
        if "enqueued" in self.feed.wanted:
            for new, job_id in zip(jobs, job_ids, strict=True):
                texts, place = self._texts(new.payload), (new.task, new.queue)
                event = JobEvent(
                    "enqueued", job_id, *place, utc_now(), texts, delay=new.delay or None
                )
                self._publish("enqueued", event)

    def began(self, claim: Claim) -> None:
        """Publish a body that begins."""
        if "started" in self.feed.wanted:
            self._publish_job("started", claim, attempt=claim.attempt)

    def noted(self, notes: Iterable[Note], claim_of: Callable[[int, int], Claim | None]) -> None:
        """Publish what bodies have said of their progress."""
        if "progressed" not in self.feed.wanted:
            return
        for note in notes:
            claim = claim_of(note.key, note.fence)
            if claim is not None and note.progress is not None:
                self._publish_job(
                    "progressed",
                    claim,
                    attempt=claim.attempt,
                    progress=note.progress,
                    message=note.message,
                )

    def cancelled(self, job_ids: Iterable[str]) -> None:
        """Publish those of these jobs that have ended as cancelled; running ones end later."""
        if "cancelled" not in self.feed.wanted:
            return
        # They are cancelled: who asked for that must not meet the store's next trouble.
        with suppress(StoreError):
            for job_id in job_ids:
                record = self._catalog().get(job_id)
                if record is not None and record.state is JobState.CANCELLED:
                    self._publish_record("cancelled", record)

    def expired(self, keys: Iterable[int]) -> None:
        """Publish jobs that have waited past their expiry, by their keys."""
        self._publish_keys("expired", keys)

    def _publish_rescued(self, event: NodeRescued | OrphansRescued) -> None:
        if event.jobs is not None:
            self._publish_keys("rescued", event.jobs.requeued)
            self._publish_keys("failed", event.jobs.failed)
            self._publish_keys("cancelled", event.jobs.cancelled)

    def _publish_keys(self, kind: str, keys: Iterable[int]) -> None:
        if kind in self.feed.wanted:
            for key in keys:
                if (record := record_of(self._catalog(), key)) is not None:
                    self._publish_record(kind, record)

    def _publish_ended(self, claim: Claim, outcome: Outcome) -> None:
        kind = _KIND_OF_OUTCOME.get(outcome.kind)
        if kind == "cancelled" and outcome.failure == EXPIRED:
            kind = "expired"
        if kind is None or kind not in self.feed.wanted:
            return
        self._publish_job(
            kind,
            claim,
            result=outcome.result,
            failure=outcome.failure,
            attempt=claim.attempt,
            seconds=max(outcome.ended - outcome.began, 0.0) if outcome.began else None,
            delay=outcome.delay if kind in _WAITS else None,
        )

    def _publish_record(self, kind: str, record: JobRecord) -> None:
        left = (record.run_at - utc_now()).total_seconds()
        delay = max(left, 0.0) if kind in _WAITS else None
        self._publish_job(
            kind, record, failure=record.failure, attempt=record.attempts, delay=delay
        )

    def _publish_job(
        self,
        kind: str,
        job: EventSubject,
        *,
        result: bytes | None = None,
        failure: Failure | None = None,
        **fields: Any,
    ) -> None:
        texts = self._texts(job.payload, result, failure)
        self._publish(kind, JobEvent(kind, job.id, job.task, job.queue, utc_now(), texts, **fields))

    def _texts(
        self, payload: bytes, result: bytes | None = None, failure: Failure | None = None
    ) -> JobTexts:
        error = None if failure is None else str(failure)
        codec = self._codec
        return JobTexts(payload, result, codec.decode_call, codec.decode_result, error)


def record_of(catalog: Catalog, key: int) -> JobRecord | None:
    """Return the job of that key, None if it is gone."""
    found = catalog.jobs(JobFilter(), before=key + 1, limit=1)
    return found[0] if found and found[0].key == key else None
