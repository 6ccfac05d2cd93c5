"""A request for a named lock: it waits, then holds, until it is ended or the lease is lost."""

from __future__ import annotations

from concurrent.futures import Future
from enum import StrEnum
from typing import TYPE_CHECKING

from mainspring.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable


class LockState(StrEnum):
    """The state of a request. Of the last three it stays what it is."""

    WAITING = "waiting"
    HELD = "held"
    LOST = "lost"  # the lease has run out, or was taken: another may hold the lock
    REFUSED = "refused"  # the store can't give it; `error` says why
    ENDED = "ended"  # by who made it


class LockRequest:
    """One request, changed by the keeper alone. To be read from any thread.

    `on_change` is called after each change but the end, in a thread of the keeper, and must not
    block. `owner` is the thread or task that waits for it, None for one that never blocks.
    """

    def __init__(
        self, name: str, on_change: Callable[[LockRequest], object], owner: object = None
    ) -> None:
        self.name = name
        self.owner = owner
        self.state = LockState.WAITING
        self.declined = False
        """True once it is known that another holds the lock, or waits for it here before."""
        self.since = ""
        """The moment of the grant (ISO 8601, UTC), for views."""
        self.fence = 0
        """Above that of every earlier holder, once it holds."""
        self.error: Exception | None = None
        self.freed: Future[None] = Future()
        """Done once the store has no lock of this request any more, after its end."""
        self.on_change = on_change

    def become(self, state: LockState) -> None:
        """Go on to a state, with the keeper's lock held."""
        if state is LockState.HELD:
            self.since = utc_now().isoformat()
        self.state = state

    def free(self) -> None:
        """Note that the store has no lock of it any more."""
        if not self.freed.done():
            self.freed.set_result(None)
