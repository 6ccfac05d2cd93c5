"""Options of an enqueuing: when its job may start and until when, and which jobs it excludes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.duration import LONGEST_SECONDS, seconds_of
from mainspring.model.unique import Unique, check_key, check_on_conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.model.job import OnConflict


@dataclass(frozen=True, slots=True)
class EnqueueOptions:
    """`delay` and `expires` are seconds from each enqueuing, `run_at` is aware.

    `unique` is a rule, or a key of the user's. `on_conflict` is None as long as the rule says it.
    """

    delay: float = 0.0
    run_at: datetime | None = None
    expires: float | None = None
    unique: Unique | str | None = None
    on_conflict: OnConflict | None = None
    idempotency_key: str | None = None

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
        new = {option: CHECKS[option](owner, value) for option, value in given.items()}
        if "delay" in new:
            new["run_at"] = None
        elif "run_at" in new:
            new["delay"] = 0.0
        if isinstance(new.get("unique"), Unique):
            # A rule brings its own answer; an earlier one was for the key before it.
            new.setdefault("on_conflict", None)
        options = replace(self, **new)
        options.check_conflict(owner)
        options.check_expiry(owner, options.wait())
        return options

    def wait(self) -> float:
        """Return the seconds until a job enqueued now may start."""
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


def _delay(owner: str, value: object) -> float:
    return seconds_of(owner, "delay", value)


def _expires(owner: str, value: object) -> float:
    return seconds_of(owner, "expires", value, positive=True)


def _unique(owner: str, value: object) -> Unique | str:
    return value if isinstance(value, Unique) else check_key(owner, "unique", value)


def _idempotency_key(owner: str, value: object) -> str:
    return check_key(owner, "idempotency_key", value)


def _aware(owner: str, moment: object) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        expected = "an aware datetime, such as datetime.now(UTC) + timedelta(hours=1)"
        raise InvalidOption("run_at", moment, owner=owner, expected=expected)
    if (moment - datetime.now(UTC)).total_seconds() > LONGEST_SECONDS:
        raise InvalidOption("run_at", moment, owner=owner, expected="a moment within 300 years")
    return moment


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "delay": _delay,
    "run_at": _aware,
    "expires": _expires,
    "unique": _unique,
    "on_conflict": check_on_conflict,
    "idempotency_key": _idempotency_key,
}
"""What is made of each option, by its name; raises InvalidOption."""
