"""Wake-ups inside one process: a bell for each topic, and who listens to it."""

from __future__ import annotations

from mainspring.clock import monotonic
from mainspring.stores.ownership import Signal


class Bell:
    """What rings for one topic. It takes no lock, so no interrupted thread can keep one."""

    def __init__(self) -> None:
        self._listeners: dict[BellListener, None] = {}

    def ring(self) -> None:
        """Wake whoever listens."""
        for listener in list(self._listeners):
            listener.poke()

    def listen(self) -> BellListener:
        """Listen from now on."""
        listener = BellListener(self)
        self._listeners[listener] = None
        return listener

    def dismiss(self, listener: BellListener) -> None:
        """Ring for that listener no more."""
        self._listeners.pop(listener, None)


class BellListener:
    """Sleeps until the bell rings, or has rung since the last wait."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._signal = Signal()
        self._rung = False
        self._closed = False

    def wait(self, timeout: float) -> bool:
        """Sleep until there may be something new (True), `timeout` seconds, or until `close`."""
        deadline = monotonic() + timeout
        while not (self._rung or self._closed) and (left := deadline - monotonic()) > 0:
            self._signal.wait(left)
        rung, self._rung = self._rung, False
        return rung and not self._closed

    def poke(self) -> None:
        """End the wait, or the next one, as if the bell had rung."""
        self._rung = True
        self._signal.give()

    def close(self) -> None:
        """End the wait, from any thread."""
        self._closed = True
        self._bell.dismiss(self)
        self._signal.give()
