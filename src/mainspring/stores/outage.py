"""An outage of a store's server, as the log tells it: once, now and then again, and its end."""

from __future__ import annotations

import logging
from collections import deque

from mainspring.clock import monotonic

log = logging.getLogger("mainspring.stores")

BLIP_SECONDS = 1.0
"""An outage that is shorter is not worth a line."""

REMINDER_SECONDS = 60.0


class Outage:
    """Logs that the server at `label` does not answer, and that it does again.

    It needs no lock: the thread that gets the moment at which a line is due is the one to write it.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._began: float | None = None
        self._due: deque[float] = deque()
        self._is_logged = False

    @property
    def lasts(self) -> bool:
        """True from the first failure until the next success."""
        return self._began is not None

    def note(self, why: str) -> None:
        """Note a failure of the server to answer; from any thread."""
        now = monotonic()
        if self._began is None:
            self._due = deque([now + BLIP_SECONDS])
            self._began, self._is_logged = now, False
        try:
            due = self._due.popleft()
        except IndexError:
            return  # another thread is about to tell it
        if now >= due:
            due = now + REMINDER_SECONDS
            self._log(now - self._began, why)
        self._due.append(due)

    def end(self) -> None:
        """Note that the server has answered; from any thread."""
        began, self._began = self._began, None
        if began is not None and self._is_logged:
            self._is_logged = False
            log.warning("%s answers again, after %.1f s", self._label, monotonic() - began)

    def _log(self, seconds: float, why: str) -> None:
        self._is_logged = True
        log.warning(
            "%s has not answered for %.1f s: %s; it is tried again about once a second,"
            " and a worker goes on when it is back",
            self._label,
            seconds,
            why,
        )
