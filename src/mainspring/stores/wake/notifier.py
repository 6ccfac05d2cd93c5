"""Wake-ups inside one process: a notifier for each topic, and its listeners."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.job import ANY_JOB, Notice
from mainspring.stores.ownership import Signal

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_NOTICES = 100
"""Notices kept for a thread that does not wait just now; of more, none says which jobs."""


class Notifier:
    """Wakes the listeners of one topic. It takes no lock, so no interrupted thread can keep one."""

    def __init__(self) -> None:
        self._listeners: dict[LocalListener, None] = {}

    def notify(self, keys: Collection[int] = ()) -> None:
        """Wake each listener; `keys` are those of the jobs it is about, none: any."""
        notice = Notice(frozenset(keys)) if keys else ANY_JOB
        for listener in list(self._listeners):
            listener.take(notice)

    def listen(self) -> LocalListener:
        """Listen from now on."""
        listener = LocalListener(self)
        self._listeners[listener] = None
        return listener

    def forget(self, listener: LocalListener) -> None:
        """Wake that listener no more."""
        self._listeners.pop(listener, None)


class LocalListener:
    """Sleeps until a notice comes, or has come since the last wait."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._signal = Signal()
        self._notices: deque[Notice] = deque()
        self._poked = False
        self._closed = False

    def wait(self, timeout: float | None = None) -> Notice | None:
        """Sleep until there may be something new; None if not, after `timeout` or a poke."""
        deadline = math.inf if timeout is None else monotonic() + timeout
        while not (self._notices or self._poked or self._closed):
            if (left := deadline - monotonic()) <= 0:
                break
            self._signal.wait(min(left, LONGEST_SECONDS))
        self._poked = False
        return None if self._closed else self._taken()

    def take(self, notice: Notice) -> None:
        """Keep a notice for the thread that waits, and wake it."""
        if len(self._notices) >= MOST_NOTICES:
            self._notices.clear()
            notice = ANY_JOB
        self._notices.append(notice)
        self._signal.give()

    def poke(self) -> None:
        """End the wait, or the next one, without a notice."""
        self._poked = True
        self._signal.give()

    def close(self) -> None:
        """End the wait, from any thread."""
        self._closed = True
        self._notifier.forget(self)
        self._signal.give()

    def for_idle(self) -> None:
        """Return no second place to wait."""
        return

    def _taken(self) -> Notice | None:
        """Return all notices as one."""
        notice: Notice | None = None
        while self._notices:
            notice = self._notices.popleft() if notice is None else notice + self._notices.popleft()
        return notice


LONGEST_SECONDS = 86_400.0
"""Seconds slept at a time."""
