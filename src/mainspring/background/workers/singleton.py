"""The gate of a singleton worker: it is open while this process holds the worker's lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.triggers.scheduled import Scheduled

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mainspring.protocols import AcquirableLock, LockAcquisition, Trigger


class SingletonGate:
    """Asks for the lock between two runs, and closes under one when the lease was lost.

    `lease_lost` is set from then until the lock is asked for again.
    """

    reason = "the singleton lock"

    def __init__(self, lock: AcquirableLock, trigger: Trigger, lease_lost: threading.Event) -> None:
        self._lock = lock
        self._trigger = trigger
        self._lease_lost = lease_lost
        self._wake: Callable[[], None] | None = None
        self._end_run: Callable[[], None] | None = None
        self._acquisition: LockAcquisition | None = None
        self._left = False
        self._again = False
        # Reentrant, since a signal handler may wake the worker while its own thread is in here.
        self._guard = threading.RLock()

    @property
    def is_open(self) -> bool:
        """True while this process holds the lock."""
        acquisition = self._acquisition
        return acquisition is not None and acquisition.held

    @property
    def fence(self) -> int | None:
        """The fence of the lock that it holds, or has lost under the run; None if it has none."""
        acquisition = self._acquisition
        return None if acquisition is None else acquisition.fence or None

    def bind(self, wake: Callable[[], None], end_run: Callable[[], None]) -> None:
        """Set what to call when the lock is granted, and when it is lost."""
        self._wake, self._end_run = wake, end_run

    def opens(self) -> bool:
        """Return whether the lock is held; ask for it if it was not, or was lost."""
        with self._guard:
            if self._acquisition is None or self._acquisition.lost:
                self._ask()
            acquisition = self._acquisition
            if acquisition is not None and acquisition.error is not None:
                self._acquisition = None
                raise acquisition.error
        return self.is_open

    def leave(self) -> Future[None] | None:
        """Give the lock up, or stop asking for it."""
        with self._guard:
            self._left = True
            return None if self._acquisition is None else self._acquisition.end()

    def _ask(self) -> None:
        self._lease_lost.clear()
        if isinstance(self._trigger, Scheduled):
            # Asked for a tick when the lock is granted: those until then are another's.
            self._trigger.begin_anew()
        self._acquisition = None if self._left else self._lock.ask(self._changed)

    def _changed(self) -> None:
        """Open or close; in a thread of the keeper of locks."""
        with self._guard:
            acquisition = self._acquisition
        if acquisition is not None and acquisition.lost:
            self._again = True
            self._lease_lost.set()
            if self._end_run is not None:
                self._end_run()
        elif self._again and self.is_open:
            self._begin_anew()
        if self._wake is not None:
            self._wake()

    def _begin_anew(self) -> None:
        """Forget the ticks that were another's."""
        trigger = self._trigger
        if isinstance(trigger, Interval) and trigger.interval is not None:
            trigger.rebase(monotonic() - trigger.interval)
