"""What happened, in the standard log under `mainspring`; texts of jobs are cleaned."""

from __future__ import annotations

import logging
from functools import singledispatch
from typing import TYPE_CHECKING

from mainspring.model.events import (
    AttemptsEnded,
    ConsumerUnhealthy,
    JobsUnclaimable,
    NodeLost,
    NodeRescued,
    OutcomesRefused,
    ScheduleTicked,
)
from mainspring.model.job import OutcomeKind
from mainspring.model.printable import printable

if TYPE_CHECKING:
    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Outcome

_log = logging.getLogger("mainspring")


def log_event(event: Event) -> None:
    """Write an event to the log; the services' own are logged where they happen."""
    _write(event)


@singledispatch
def _write(event: object) -> None:
    """Events that say nothing to a reader of logs are passed over."""


@_write.register
def _(event: AttemptsEnded) -> None:
    for claim, outcome in event.ended:
        if outcome.failure is not None:
            _write_failure(claim, outcome)


@_write.register
def _(event: OutcomesRefused) -> None:
    keys = ", ".join(str(outcome.key) for outcome in event.outcomes[:10])
    _log.warning(
        "%d outcomes came too late and were refused: their jobs have been given to others (%s)",
        len(event.outcomes),
        keys,
    )


@_write.register
def _(event: NodeRescued) -> None:
    _log.warning(
        "node %s is gone: %d of its jobs run again, %d have failed",
        printable(event.node),
        event.requeued,
        event.failed,
    )


@_write.register
def _(event: NodeLost) -> None:
    _log.error(
        "node %s did not renew its lease in time and disowns what it ran", printable(event.node)
    )


@_write.register
def _(event: ConsumerUnhealthy) -> None:
    _log.error(
        "node %s claims no more jobs for threads: %d threads that were given up still run",
        printable(event.node),
        event.abandoned,
    )


@_write.register
def _(event: JobsUnclaimable) -> None:
    lanes = ", ".join(f"{one.pending} of {one.task} in {one.queue}" for one in event.lanes[:10])
    jobs = sum(lane.pending for lane in event.lanes)
    _log.warning("%d jobs wait that no worker would take: %s", jobs, printable(lanes))


@_write.register
def _(event: ScheduleTicked) -> None:
    if not event.job_ids:
        _log.warning(
            "schedule %s: its ticks up to %s were missed, and are skipped",
            printable(event.schedule),
            event.tick.isoformat(),
        )


def _write_failure(claim: Claim, outcome: Outcome) -> None:
    if outcome.kind is OutcomeKind.CANCELLED:
        reason = "" if outcome.failure is None else outcome.failure.message
        _log.info(
            "job %s (%s) was cancelled: %s", claim.id, printable(claim.task), printable(reason)
        )
        return
    if outcome.kind is OutcomeKind.RETRY:
        plan = f"attempt {claim.attempt + 1} in {outcome.delay:.1f} s"
    else:
        plan = "no attempts are left" if outcome.kind is OutcomeKind.FAILED else str(outcome.kind)
    task, failure = printable(claim.task), printable(str(outcome.failure))
    _log.warning("job %s (%s) failed: %s; %s", claim.id, task, failure, plan)
