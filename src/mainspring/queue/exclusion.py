"""The part of the front door that keeps others out: named locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.queue.following import Followed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from mainspring.engine.locks.keeper import LockKeeper
    from mainspring.engine.settings import WorkerSettings
    from mainspring.queue.lock import NamedLock


class Exclusion(Followed):
    """Operations of a queue, its middleware, its events, and locks in its store."""

    if TYPE_CHECKING:

        @property
        def settings(self) -> WorkerSettings:
            """The settings, for the lease of locks."""
            ...

    def lock(
        self,
        name: str,
        *,
        wait: float | timedelta | None = None,
        on_lost: Callable[[], object] | None = None,
    ) -> NamedLock:
        """Return a lock that one block at a time holds, of all processes on this store.

        `with queue.lock("meter") as held:`, or `async with`; `held.fence` is a number above that of
        every earlier holder, `held.lost` says that the lease was lost. `wait`: seconds (or a
        timedelta) until `LockNotAcquired` is raised, 0: ask once; None: wait as long as it takes.
        `on_lost` is called, from another thread, when the lease is lost: when this process was
        stopped, or its store silent, for longer than the queue's `lease`. Not reentrant: who takes
        it twice is refused. Raises InvalidOption.
        """
        from mainspring.queue.lock import NamedLock  # noqa: PLC0415  # a lazy door

        return NamedLock(self._lock_keeper, name, wait=wait, on_lost=on_lost)

    def _lock_keeper(self) -> LockKeeper:
        return self._client.lock_keeper(self.settings)
