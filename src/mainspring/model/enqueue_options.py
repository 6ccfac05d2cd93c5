"""Options of an enqueuing: when its job may start and until when, and which jobs it excludes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.clock import utc_now
from mainspring.errors import InvalidOption
from mainspring.model.job_options import (
    NO_OWN_OPTIONS,
    OWN_OPTIONS,
    JobOptions,
    encode_options,
    own_options,
)
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.options import (
    LONGEST_SECONDS,
    NAME,
    POSITIVE_SECONDS,
    SECONDS,
    Check,
    checked,
)
from mainspring.model.unique import ON_CONFLICT, Unique
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.model.job import OnConflict
    from mainspring.model.view import JobRecord


class EnqueueOptions(Value, frozen=True):
    """`delay` and `expires` are seconds from each enqueuing, `run_at` is aware.

    `unique` is a rule, or a key of the user's. `on_conflict` is None as long as the rule says it.
    `own` are options that a job keeps, `stored` is their text.
    """

    delay: float = 0.0
    run_at: datetime | None = None
    expires: float | None = None
    unique: Unique | str | None = None
    on_conflict: OnConflict | None = None
    idempotency_key: str | None = None
    own: JobOptions = NO_OWN_OPTIONS
    stored: bytes | None = None

    def changed(self, owner: str, given: Mapping[str, Any]) -> EnqueueOptions:
        """Return these options with others changed, each checked; raises InvalidOption."""
        if "delay" in given and "run_at" in given:
            raise InvalidOption(
                "run_at",
                given["run_at"],
                owner=owner,
                why="can't be combined with delay",
                remedy="give only one of them",
            )
        own = own_options(owner, {name: given[name] for name in OWN_OPTIONS if name in given})
        rest = {name: value for name, value in given.items() if name not in OWN_OPTIONS}
        new = checked(owner, CHECKS, rest)
        if "delay" in new:
            new["run_at"] = None
        elif "run_at" in new:
            new["delay"] = 0.0
        if isinstance(new.get("unique"), Unique):
            # A rule brings its own answer; an earlier one was for the key before it.
            new.setdefault("on_conflict", None)
        if own:
            new["own"] = replace(self.own, **own)
            new["stored"] = encode_options(new["own"])
        options = replace(self, **new)
        options.check_conflict(owner)
        options.check_expiry(owner, options.wait())
        return options

    def wait(self) -> float:
        """Return the seconds until a job enqueued now may start.

        `run_at` is compared with the clock that its caller sees, which a test may have frozen.
        """
        if self.run_at is None:
            return self.delay
        return max(0.0, (self.run_at - datetime.now(UTC)).total_seconds())

    def check_expiry(self, owner: str, wait: float) -> None:
        """Raise InvalidOption if a job would expire before it may start."""
        if self.expires is not None and self.expires <= wait:
            expected = f"more than the {wait:g} s until it may start"
            raise InvalidOption("expires", self.expires, owner=owner, expected=expected)

    def check_conflict(self, owner: str) -> None:
        """Raise InvalidOption for an answer to a conflict that can't come."""
        if self.on_conflict is not None and self.unique is None:
            raise InvalidOption(
                "on_conflict",
                self.on_conflict,
                owner=owner,
                why="has no effect without unique",
                remedy="give unique, too, or leave on_conflict out",
            )

    def answer(self) -> OnConflict:
        """Return what enqueuing does when a live job bears the unique key."""
        if self.on_conflict is not None:
            return self.on_conflict
        return self.unique.on_conflict if isinstance(self.unique, Unique) else "return_existing"


def wait_of(owner: str, delay: float | timedelta | None, run_at: datetime | None) -> float:
    """Return the seconds that one of both says; raises InvalidOption."""
    given = {"delay": delay, "run_at": run_at}
    given = {option: value for option, value in given.items() if value is not None}
    if not given:
        raise InvalidOption("delay", None, owner=owner, expected="seconds, or give run_at=")
    return EnqueueOptions().changed(owner, given).wait()


def check_still_valid(record: JobRecord, wait: float) -> None:
    """Raise InvalidOption if a job has expired before it may start, so many seconds from now."""
    expires_at, start = record.expires_at, utc_now() + timedelta(seconds=wait)
    if expires_at is not None and expires_at <= start:
        expected = f"a time before the job expires, at {expires_at:%Y-%m-%d %H:%M:%S} UTC"
        raise InvalidOption("run_at", start, owner="JobHandle.reschedule()", expected=expected)


def _is_aware(value: object) -> bool:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return False
    return (value - datetime.now(UTC)).total_seconds() <= LONGEST_SECONDS


CHECKS = {
    "delay": SECONDS,
    "run_at": Check(
        _is_aware,
        "an aware datetime within 300 years, such as datetime.now(UTC) + timedelta(hours=1)",
    ),
    "expires": POSITIVE_SECONDS,
    "unique": Check(lambda value: isinstance(value, Unique) or is_name(value), EXPECTED),
    "on_conflict": ON_CONFLICT,
    "idempotency_key": NAME,
}
