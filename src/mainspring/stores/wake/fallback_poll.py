"""The fallback under a listener: it looks for itself, should nobody have notified.

While things happen it looks ten times a second. When nothing has happened for a while it asks the
kernel to tell of the next write, looks for a while longer, since of what was being written just
then it is not told, and rests. The first write ends the rest. Where a change shows that was not
told of, it trusts that no more, and looks ten times a second from then on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mainspring.stores.wake.file_watch import FileWatch

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.1
"""Seconds between two looks, and so the delay of a commit that nobody notified of."""

SOON_SECONDS = 0.01
"""Delay of the first look after a write that ended a rest: what is written can be seen later."""

LONGEST_SECONDS = 86_400.0
"""Seconds that a listener without a fallback sleeps at a time: `poll` counts in 32 bits."""

CALM_SECONDS = 0.35
"""Seconds without a change after which it asks the kernel, and again as long until it rests."""

REST_SECONDS = 2.0
"""Seconds between two looks at rest: for commits that took longer than CALM_SECONDS."""


class FallbackPoll:
    """`changed()` looks; `watched` is the file that every change is written to, if there is one.

    `join` takes the descriptor that is to be waited for as well. Times are monotonic.
    """

    def __init__(
        self, changed: Callable[[], bool], watched: str | None, join: Callable[[int], object]
    ) -> None:
        self._changed = changed
        self._watch = None if watched is None else FileWatch(watched, join)
        self._written = False
        self._calm_since = math.inf
        self._armed_at = math.inf

    @property
    def descriptor(self) -> int:
        """The descriptor that reports writes; -1 if there is none (yet)."""
        return -1 if self._watch is None else self._watch.descriptor

    def pause(self, now: float) -> float:
        """Return the seconds until the next look."""
        if self._written:
            return SOON_SECONDS
        return REST_SECONDS if self._rests(now) else POLL_SECONDS

    def look(self, now: float) -> bool:
        """Look for changes."""
        self._written = False
        if self._changed():
            if self._rests(now) and not self._was_notified():
                self.close()
            self._begin_anew()
            return True
        self._calm_since = min(self._calm_since, now)
        if now - self._calm_since >= CALM_SECONDS and self._armed_at == math.inf:
            self._arm(now)
        return False

    def written(self) -> None:
        """Note that the kernel reports a write: the next looks will show what it was."""
        if self._was_notified():
            self._begin_anew()
            self._written = True

    def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _rests(self, now: float) -> bool:
        return now - self._armed_at >= CALM_SECONDS

    def _was_notified(self) -> bool:
        return self._watch is not None and self._watch.take()

    def _begin_anew(self) -> None:
        self._calm_since = self._armed_at = math.inf

    def _arm(self, now: float) -> None:
        if self._watch is not None and self._watch.arm():
            self._armed_at = now
        else:
            self._calm_since = now


class NoFallbackPoll:
    """For a listener that trusts its notices: it never looks, and sleeps for `nap` seconds."""

    descriptor = -1

    def __init__(self, nap: float) -> None:
        self._nap = nap

    def pause(self, now: float) -> float:  # noqa: ARG002  # the seam's signature
        """Return the seconds it sleeps at a time."""
        return self._nap

    def look(self, now: float) -> bool:  # noqa: ARG002  # as above
        """See nothing."""
        return False

    def written(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
