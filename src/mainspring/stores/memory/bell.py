"""Wake-ups inside one process: a count of rings that waiting threads watch."""

from __future__ import annotations

import threading


class Bell:
    """What rings for one topic."""

    def __init__(self) -> None:
        self.rung = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        """Wake whoever listens."""
        with self.rung:
            self.rings += 1
            self.rung.notify_all()

    def listen(self) -> BellListener:
        """Listen from now on."""
        return BellListener(self)


class BellListener:
    """Sleeps until the bell rings, or has rung since the last wait."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._heard = bell.rings
        self._closed = False
        self._poked = False

    def wait(self, timeout: float) -> bool:
        """Sleep until there may be something new (True), `timeout` seconds, or until `close`."""
        with self._bell.rung:
            self._bell.rung.wait_for(self._woken, timeout)
            news = self._poked or self._bell.rings != self._heard
            self._heard = self._bell.rings
            self._poked = False
        return news and not self._closed

    def poke(self) -> None:
        """End the wait, or the next one, as if the bell had rung."""
        self._poked = True
        with self._bell.rung:
            self._bell.rung.notify_all()

    def close(self) -> None:
        """End the wait, from any thread."""
        self._closed = True
        with self._bell.rung:
            self._bell.rung.notify_all()

    def _woken(self) -> bool:
        return self._closed or self._poked or self._bell.rings != self._heard
