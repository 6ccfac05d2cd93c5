"""When the engine's own workers run: the exchange by its pace, the listener by wakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.supervision.trigger import Continuous

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.exchange import Exchange
    from mainspring.protocols import Listener

LISTEN_SECONDS = 5.0


class ExchangeTrigger:
    """Fires as the exchange's pace says; once closed, it is over when the exchange has drained."""

    def __init__(self, exchange: Exchange, grace: float) -> None:
        self._exchange = exchange
        self._grace = grace

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the driver's sleep."""
        self._exchange.bind(wake)

    def due(self, now: float) -> float | None:
        """Return the seconds until the next turn."""
        return self._exchange.due(now)

    def take(self, now: float) -> tuple[object, ...]:  # noqa: ARG002  # the seam's signature
        """Return no arguments."""
        return ()

    def done(self, now: float) -> None:
        """Change nothing: the exchange knows what it did."""

    def wake(self) -> None:
        """Look for work."""
        self._exchange.ring()

    def close(self) -> None:
        """Begin the drain."""
        self._exchange.drain(self._grace)

    @property
    def closed(self) -> bool:
        """Whether everything claimed has been flushed."""
        return self._exchange.drained


class Listening(Continuous):
    """Listens for work all the time; closing ends the wait at once."""

    def __init__(self, listener: Listener, ring: Callable[[], None]) -> None:
        super().__init__()
        self._listener = listener
        self._ring = ring

    def listen(self) -> None:
        """Wait once, and ring if there may be work."""
        if self._listener.wait(LISTEN_SECONDS):
            self._ring()

    def close(self) -> None:
        """Fire no more, and end the wait."""
        super().close()
        self._listener.close()
