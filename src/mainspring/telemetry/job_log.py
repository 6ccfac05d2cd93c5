"""A line in the log for each attempt that has ended, for who asks for it; texts are cleaned."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mainspring.model.events import AttemptsEnded
from mainspring.model.job import OutcomeKind
from mainspring.model.printable import printable
from mainspring.telemetry.job_fields import fields_of

if TYPE_CHECKING:
    from mainspring.model.job import Claim, Outcome

_log = logging.getLogger("mainspring.jobs")

_WORDS = {OutcomeKind.RETRY: "failed, tried again", OutcomeKind.SNOOZED: "put off"}
_ATTEMPT = "job %s (%s) %s after %.3f s, attempt %d"
_UNTIMED = "job %s (%s) %s, attempt %d"
"""For an attempt that was ended from outside: its outcome has no time of the begin."""


def log_jobs(event: object) -> None:
    """Write the attempts that an event tells of; claims that were given back are none."""
    if isinstance(event, AttemptsEnded) and _log.isEnabledFor(logging.INFO):
        for claim, outcome in event.ended:
            if outcome.kind is not OutcomeKind.RELEASED:
                _write(claim, outcome)


def _write(claim: Claim, outcome: Outcome) -> None:
    word = _WORDS.get(outcome.kind, str(outcome.kind))
    args: tuple[object, ...] = (claim.id, printable(claim.task), word, claim.attempt)
    seconds, text = None, _UNTIMED
    if outcome.began:
        seconds, text = round(max(outcome.ended - outcome.began, 0.0), 6), _ATTEMPT
        args = (*args[:3], seconds, claim.attempt)
    record = _log.makeRecord(_log.name, logging.INFO, __file__, 0, text, args, None)
    fields = {"outcome": str(outcome.kind), "duration": seconds}
    vars(record).update(fields_of(claim), **fields)
    _log.handle(record)
