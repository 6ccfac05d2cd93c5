"""The drive of the exchange's worker: its pace as a trigger, its sleep on the store's listener.

Sleeping on the listener itself, rather than on a lock that a listening thread releases, saves a
thread hop on the way of every job that comes to an idle node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.protocols import ListeningExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.engine.claims.exchange import Exchange
    from mainspring.protocols import Executor, Listener, Store


def listen_together(
    store: Store, executors: Sequence[Executor], on_notice: Callable[[], None]
) -> Listener:
    """Listen for work; where the store can, idle slots of one executor listen as well."""
    listener = store.listen("ready")
    listening = [executor for executor in executors if isinstance(executor, ListeningExecutor)]
    if listening and (idle_listener := listener.for_idle()) is not None:
        listening[0].listen_when_idle(idle_listener, on_notice)
    return listener


class ExchangeTrigger:
    """Fires as the exchange's pace says; once closed, it is over when the exchange has drained."""

    def __init__(self, exchange: Exchange, grace: float) -> None:
        self._exchange = exchange
        self._grace = grace

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
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
        self._exchange.notify()

    def close(self) -> None:
        """Begin the drain."""
        self._exchange.drain(self._grace)

    @property
    def closed(self) -> bool:
        """True if everything claimed has been flushed."""
        return self._exchange.drained


class StoreSleeper:
    """Sleeps until woken, or until the store notifies: then it calls `on_notice`."""

    def __init__(self, listen: Callable[[], Listener], on_notice: Callable[[], None]) -> None:
        self._listen = listen
        self._on_notice = on_notice
        self._listener: Listener | None = None
        self._sleeping = False
        self._woken = False

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread. Costs little while it is awake."""
        if self._woken:
            return
        self._woken = True
        if self._sleeping and self._listener is not None:
            try:
                self._listener.poke()
            except BaseException:
                self._woken = False  # so that the next one pokes
                raise

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long at most, or until woken (None: until woken)."""
        if self._listener is None:
            self._listener = self._listen()
            # What came before we listened has notified nobody.
            self._on_notice()
        else:
            # Said before the look for a wake; a waker does it the other way round.
            self._sleeping = True
            notice = None if self._woken else self._listener.wait(seconds)
            self._sleeping = False
            if notice is not None:
                self._on_notice()
        # After the notice, which wakes too: who is awake looks at everything next.
        self._woken = False

    def close(self) -> None:
        """Listen no more; when the worker has ended."""
        if self._listener is not None:
            self._listener.close()
