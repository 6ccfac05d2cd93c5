"""EventFeed: the subscribers of one queue, each with the kinds of events that it asked for.

Light to import: every producer has one. Threads come with the first subscriber that needs one.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mainspring.model.events import Event
    from mainspring.model.hidden_names import HiddenNames
    from mainspring.protocols import Subscriber
    from mainspring.telemetry.event_subscription import EventSubscription


class EventFeed:
    """Thread-safe. `wanted` are the kinds that somebody subscribed to: nobody makes the others."""

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._subscriptions: tuple[EventSubscription, ...] = ()
        self._lock = RLock()

    def subscribe(
        self,
        subscriber: Subscriber,
        kinds: Collection[str],
        *,
        inline: bool = False,
        hidden: HiddenNames | None = None,
    ) -> Callable[[], None]:
        """Call `subscriber` with events of these kinds from now on; return what ends that.

        `inline`: in the thread where they happen. Of a subscriber that subscribes again the
        earlier subscription ends.
        """
        from mainspring.telemetry.event_subscription import EventSubscription  # noqa: PLC0415  # a lazy door

        new = EventSubscription(subscriber, kinds, inline=inline, hidden=hidden)
        with self._lock:
            for one in self._subscriptions:
                if one.subscriber == subscriber:
                    self._remove(one)
            self._set((*self._subscriptions, new))
        return lambda: self._remove(new)

    def publish(self, kind: str, event: Event) -> None:
        """Call those with an event who asked for its kind."""
        for one in self._subscriptions:
            if kind in one.kinds:
                one.give(event)

    def publish_here(self, kind: str, event: Event) -> None:
        """Call them in the calling thread, all of them: for tests."""
        for one in self._subscriptions:
            if kind in one.kinds:
                one.call(event)

    def flush(self, seconds: float) -> None:
        """Wait until all that was told has been heard, so long at most."""
        for one in self._subscriptions:
            one.flush(seconds)

    def close(self) -> None:
        """End the threads when they have told what waits; what comes later starts them again."""
        for one in self._subscriptions:
            one.close()

    def _remove(self, one: EventSubscription) -> None:
        with self._lock:
            self._set(tuple(other for other in self._subscriptions if other is not one))
        one.close()

    def _set(self, subscriptions: tuple[EventSubscription, ...]) -> None:
        self._subscriptions = subscriptions
        self.wanted = frozenset(kind for one in subscriptions for kind in one.kinds)


NO_FEED = EventFeed()
"""For parts that nobody follows."""
