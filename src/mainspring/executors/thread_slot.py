"""A slot of threads, and its hold on the claim that it runs: who lets go first owes the outcome."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mainspring.clock import monotonic

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection

    from mainspring.model.job import Claim, Grant, Outcome


class Hold:
    """A slot's hold on one claim. It is never used again: who looks late can't hit the next one."""

    __slots__ = ("began", "claims", "deadline")

    def __init__(self, claim: Claim, timeout: float | None) -> None:
        self.began = monotonic()
        self.deadline = math.inf if timeout is None else self.began + timeout
        self.claims = [claim]

    @property
    def live(self) -> bool:
        """True if nobody has let go of it yet."""
        return bool(self.claims)

    @property
    def claim(self) -> Claim | None:
        """The claim, as long as nobody has let go of it."""
        claims = self.claims[:1]  # atomic
        return claims[0] if claims else None

    def is_of(self, grants: Collection[Grant]) -> bool:
        """Return whether it is a hold on one of these claims."""
        claim = self.claim
        return claim is not None and (claim.key, claim.fence) in grants

    def let_go(self) -> Claim | None:
        """Return the claim to the first who asks, who then owes its outcome; None to others."""
        try:
            return self.claims.pop()  # atomic
        except IndexError:
            return None


class ThreadSlot:
    """One place for one attempt at a time; `owed` is an outcome that is on its way out."""

    __slots__ = ("hold", "number", "owed", "thread")

    def __init__(self, number: int) -> None:
        self.number = number
        self.hold: Hold | None = None
        self.owed: Outcome | None = None
        self.thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """True if an attempt runs in it."""
        hold = self.hold
        return hold is not None and hold.live
