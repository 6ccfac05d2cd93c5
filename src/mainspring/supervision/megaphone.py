"""Tells events to subscribers; what a subscriber raises is logged and goes no further."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.model.events import Event
    from mainspring.protocols import Subscriber

log = logging.getLogger("mainspring.supervision")


class Megaphone:
    """The subscribers of one teller; subscribing and telling from any thread."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()

    @property
    def heard(self) -> bool:
        """Whether anybody would be told."""
        return bool(self._subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` too, once however often it subscribes."""
        if subscriber not in self._subscribers:
            self._subscribers = (*self._subscribers, subscriber)

    def tell(self, event: Event) -> None:
        """Tell every subscriber, in the order in which they subscribed."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("subscriber %r raised on %r", subscriber, event)
