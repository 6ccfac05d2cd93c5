"""Restart policies: the rest after a failure, and the moment to give up. Pure; `now` is given."""

from __future__ import annotations

import logging
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number

log = logging.getLogger("mainspring.supervision")


class Backoff(Protocol):
    """The rest after failures in a row; `mainspring.model.backoff.Exponential` is one."""

    def delay(self, attempt: int) -> float:
        """Return the seconds to rest after failure number `attempt` in a row (from 1)."""
        ...


@dataclass(frozen=True, slots=True)
class DoublingBackoff:
    """No rest after the first failure, then `base` seconds, doubling up to `cap`.

    Up to half of each rest is taken off at random, so that workers that failed together do not
    come back together.
    """

    base: float = 0.1
    cap: float = 30.0

    def delay(self, attempt: int, *, chance: float | None = None) -> float:
        """Return the seconds to rest after failure number `attempt` in a row (from 1).

        `chance` in 0..1 stands in for the random number.
        """
        if attempt <= 1:
            return 0.0
        # 2.0**1024 overflows; the cap is reached long before.
        ceiling = min(self.cap, self.base * 2.0 ** min(attempt - 2, 64))
        return ceiling * (0.5 + 0.5 * (random.random() if chance is None else chance))


@dataclass(frozen=True, slots=True)
class NoDelay:
    """Go on at once; for a worker whose trigger sets the pace."""

    def delay(self, attempt: int) -> float:  # noqa: ARG002  the seam's signature
        """Return 0."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Restart:
    """The rule by which a worker or service goes on after failures.

    More than `max_failures` within `within` seconds and it stops as failed; None: it never gives
    up. `backoff` is the rest before it goes on; None: what suits its trigger (a continuous worker
    and a service rest as `DoublingBackoff` says, every other worker keeps to its trigger).
    """

    max_failures: int | None = None
    within: float = 60.0
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        most = self.max_failures
        if most is not None and not (isinstance(most, int) and most >= 0):
            raise InvalidOption(
                "max_failures", most, owner="Restart", expected="0 or more, or None"
            )
        if not (is_number(self.within) and self.within > 0):
            raise InvalidOption(
                "within", self.within, owner="Restart", expected="seconds greater than 0"
            )
        if self.backoff is not None and not callable(getattr(self.backoff, "delay", None)):
            expected = "a value with a method delay(attempt), such as Exponential()"
            raise InvalidOption("backoff", self.backoff, owner="Restart", expected=expected)


FOR_EVER = Restart()
"""Never give up."""


class Failures:
    """The failures of one worker or service, counted against its restart policy."""

    def __init__(self, policy: Restart, *, backoff: Backoff) -> None:
        self._policy = policy
        self._backoff = policy.backoff or backoff
        self._in_a_row = 0
        self._recent: deque[float] = deque()

    def failed(self, now: float, *, paced: bool = True) -> float | None:
        """Count a failure; return the seconds to rest, or None to give up.

        Unless something else sets the pace, it rests at least as `DoublingBackoff` says.
        """
        self._in_a_row += 1
        if self._too_many(now):
            return None
        rest = self._rest()
        return rest if paced else max(rest, DoublingBackoff().delay(self._in_a_row))

    def succeeded(self) -> None:
        """Start the backoff afresh."""
        self._in_a_row = 0

    def _rest(self) -> float:
        try:
            rest = self._backoff.delay(self._in_a_row)
        except Exception:
            log.exception("backoff %r raised; the usual one stands in", self._backoff)
        else:
            if is_number(rest) and rest < math.inf:  # which nan is not, either
                return rest
            said = "backoff %r returned %r, not a number of seconds; the usual one stands in"
            log.error(said, self._backoff, rest)
        return DoublingBackoff().delay(self._in_a_row)

    def _too_many(self, now: float) -> bool:
        if self._policy.max_failures is None:
            return False
        self._recent.append(now)
        while self._recent[0] < now - self._policy.within:
            self._recent.popleft()
        return len(self._recent) > self._policy.max_failures
