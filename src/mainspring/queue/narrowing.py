"""The part of a filter of jobs that no store knows: a text of the last error, and times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mainspring.clock import utc_now
from mainspring.errors import InvalidOption
from mainspring.model.name import is_utf8
from mainspring.model.value import Value

if TYPE_CHECKING:
    from mainspring.model.view import JobRecord

When = datetime | timedelta | None
"""An aware moment, or how long ago."""


class Narrowing(Value, frozen=True):
    """Narrows a list to jobs whose last error has a text, and that ended between two moments.

    A job that has not ended goes by the moment at which it was made. Empty fields fit all.
    """

    error: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def empty(self) -> bool:
        """True if it fits every job."""
        return not self.error and self.since is None and self.until is None

    def fits(self, record: JobRecord) -> bool:
        """Return True for a job that it leaves in the list."""
        return self.in_time(record) and self.error.casefold() in _error_of(record)

    def in_time(self, record: JobRecord) -> bool:
        """Return True for a job of the time that it is about."""
        at = record.completed_at or record.created_at
        after = self.since is None or at >= self.since
        return after and (self.until is None or at < self.until)


def narrowing_of(owner: str, error: str | None, since: When, until: When) -> Narrowing:
    """Return what the options say; raises InvalidOption."""
    if error is not None and not (isinstance(error, str) and is_utf8(error)):
        raise InvalidOption("error", error, owner=owner, expected="a text, or None for all")
    moments = [_moment(owner, *given) for given in (("since", since), ("until", until))]
    return Narrowing(error or "", *moments)


def _moment(owner: str, option: str, when: object) -> datetime | None:
    if when is None:
        return None
    if isinstance(when, datetime) and when.tzinfo is not None:
        return when
    if isinstance(when, timedelta):
        try:
            return utc_now() - when
        except OverflowError:
            pass  # the same words as for what is no time at all
    expected = "an aware datetime, or a timedelta: so long ago"
    raise InvalidOption(option, when, owner=owner, expected=expected)


def _error_of(record: JobRecord) -> str:
    return "" if record.failure is None else str(record.failure).casefold()
