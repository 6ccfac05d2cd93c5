"""Messages to a service manager by `sd_notify`: a few words in a Unix datagram.

The protocol is that of the manual pages sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.protocols import Trigger

log = logging.getLogger("mainspring")

MICROSECONDS = 1_000_000


class ServiceManager:
    """The socket that `NOTIFY_SOCKET` names; without one it says nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog = _watchdog_of(environment)

    def say(self, state: str) -> None:
        """Send one datagram; a manager that is gone is no reason to fail."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(0)
                line.sendto(state.encode(), self._address)
        except OSError as error:
            log.warning("can't send %s to the service manager: %s", state, error)


class ReadinessAnnouncer:
    """A service that says when it is up, that it is still well, and that it is about to end.

    Its beats stop when `healthy` is false or the supervisor's own loop does not turn, so that the
    manager starts the program again.
    """

    name = "sd_notify"

    def __init__(self, manager: ServiceManager, healthy: Callable[[], bool]) -> None:
        self._manager = manager
        self._healthy = healthy
        # The manual's advice: every half of the time after which the manager gives up.
        beats: Trigger = Interval(manager.watchdog / 2) if manager.watchdog else Event()
        self._worker = Worker(self.name, self._beat, beats)

    async def run(self, started: Callable[[], None]) -> None:
        """Notify that it is ready, then beat until closed."""
        if not self._worker.ending:
            self._manager.say("READY=1")
        await self._worker.run(started)

    def close(self) -> None:
        """Notify that it stops, once."""
        if not self._worker.ending:
            self._manager.say("STOPPING=1")
        self._worker.close()

    async def _beat(self) -> None:
        if self._healthy():
            self._manager.say("WATCHDOG=1")


def _watchdog_of(environment: Mapping[str, str]) -> float | None:
    """Return the seconds after which the manager misses our beat, None if it does not listen."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or int(microseconds) == 0 or meant != str(os.getpid()):
        return None
    return int(microseconds) / MICROSECONDS
