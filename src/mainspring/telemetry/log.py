"""Events in the standard log under `mainspring`; texts of jobs are cleaned."""

from __future__ import annotations

import logging
from functools import singledispatch
from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.events import (
    AttemptsEnded,
    ConsumerUnhealthy,
    JobsUnclaimable,
    NodeLost,
    NodeRescued,
    OrphansRescued,
    OutcomesRefused,
    ScheduleTicked,
)
from mainspring.model.job import OutcomeKind
from mainspring.model.printable import printable
from mainspring.model.remote_error import cause_of
from mainspring.telemetry.job_fields import fields_of

if TYPE_CHECKING:
    from mainspring.model.job import Claim, Failure, Outcome

_log = logging.getLogger("mainspring")

CONTROL_FLOW = frozenset(
    f"mainspring.model.control_flow.{name}" for name in ("GiveUp", "Retry", "Snooze")
)
"""Types of failures that a body has raised on purpose: they are no crashes."""

UNABLE = frozenset(f"mainspring.errors.{name}" for name in ("ChildStartFailed", "NotRunning"))
"""Types of failures that put an attempt off because it could not begin."""


@singledispatch
def log_event(event: object) -> None:
    """Write an event to the log; what says nothing to a reader of logs is passed over.

    The services' own events are logged where they happen.
    """


@log_event.register
def _(event: AttemptsEnded) -> None:
    for claim, outcome in event.ended:
        if outcome.failure is not None:
            _write_failure(claim, outcome)


@log_event.register
def _(event: OutcomesRefused) -> None:
    keys = ", ".join(str(outcome.key) for outcome in event.outcomes[:10])
    _log.warning(
        "%d outcomes came too late and were refused: their jobs have been given to others (%s)",
        len(event.outcomes),
        keys,
    )


@log_event.register
def _(event: NodeRescued) -> None:
    if not event.requeued and not event.failed:  # idle, or a holder of locks
        _log.warning("node %s is gone; it ran no jobs", printable(event.node))
        return
    _log.warning(
        "node %s is gone: %d of its jobs run again, %d have failed",
        printable(event.node),
        event.requeued,
        event.failed,
    )


@log_event.register
def _(event: OrphansRescued) -> None:
    _log.warning(
        "running jobs had no live node: %d of them run again, %d have failed",
        event.requeued,
        event.failed,
    )


@log_event.register
def _(event: NodeLost) -> None:
    _log.error(
        "node %s did not renew its lease in time and disowns what it ran", printable(event.node)
    )


@log_event.register
def _(event: ConsumerUnhealthy) -> None:
    _log.error(
        "node %s claims no more jobs for threads: %d threads that were given up still run",
        printable(event.node),
        event.abandoned,
    )


@log_event.register
def _(event: JobsUnclaimable) -> None:
    lanes = ", ".join(f"{one.pending} of {one.task} in {one.queue}" for one in event.lanes[:10])
    jobs = sum(lane.pending for lane in event.lanes)
    said = counted(jobs, "job waits", "jobs wait")
    _log.warning("%s that no worker would take: %s", said, printable(lanes))


@log_event.register
def _(event: ScheduleTicked) -> None:
    if not event.job_ids:
        _log.warning(
            "schedule %s: its ticks up to %s were missed, and are skipped",
            printable(event.schedule),
            event.tick.isoformat(),
        )


def _write_failure(claim: Claim, outcome: Outcome) -> None:
    failure = outcome.failure
    if outcome.kind is OutcomeKind.FAILED:
        _write_end(claim, outcome)
    elif outcome.kind is OutcomeKind.RETRY:
        plan = f"attempt {claim.attempt + 1} in {outcome.delay:.1f} s"
        _write_of(claim, logging.WARNING, f"job %s (%s) failed: %s; {plan}", failure)
    elif outcome.kind is OutcomeKind.CANCELLED:
        _write_of(claim, logging.INFO, "job %s (%s) was cancelled: %s", failure and failure.message)
    elif outcome.kind is OutcomeKind.SNOOZED:
        unable = failure is not None and failure.type in UNABLE
        level = logging.WARNING if unable else logging.INFO
        _write_of(claim, level, f"job %s (%s) waits {outcome.delay:.1f} s: %s", failure)
    elif outcome.kind is OutcomeKind.CRASHED:
        _write_of(claim, logging.WARNING, "job %s (%s) crashed, and runs again: %s", failure)
    else:
        _write_of(claim, logging.WARNING, f"job %s (%s) failed: %s; {outcome.kind}", failure)


def _write_end(claim: Claim, outcome: Outcome) -> None:
    failure = outcome.failure
    if failure is not None and failure.type in CONTROL_FLOW:
        _write_of(claim, logging.WARNING, "job %s (%s) has failed as it asked: %s", failure)
    else:
        text = "job %s (%s) failed for good: %s"
        _write_of(claim, logging.ERROR, text, failure, evidence=failure)


def _write_of(
    claim: Claim, level: int, text: str, reason: object, *, evidence: Failure | None = None
) -> None:
    """Write a line with the fields of the claim's job."""
    if not _log.isEnabledFor(level):
        return
    args = (claim.id, printable(claim.task), printable(str(reason)))
    record = _log.makeRecord(_log.name, level, __file__, 0, text, args, None)
    vars(record).update(fields_of(claim))
    if evidence is not None:
        error = cause_of(evidence, {})
        # The traceback's text came with the outcome; its frames may be of another process.
        record.exc_info = (type(error), error, None)
        record.exc_text = evidence.traceback.rstrip()
    _log.handle(record)
