"""Publishes events to subscribers; what a subscriber raises is logged and goes no further."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.model.error_text import message_of, name_of, traceback_of

if TYPE_CHECKING:
    from mainspring.model.events import Event
    from mainspring.protocols import Subscriber

log = logging.getLogger("mainspring.supervision")


class EventBus:
    """The subscribers of one publisher. Thread-safe.

    A subscriber is called in the thread where the event happens, which waits for it to return.
    """

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()
        self._known: set[tuple[int, str]] = set()

    @property
    def has_subscribers(self) -> bool:
        """True if there are subscribers."""
        return bool(self._subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each event: once, however often it subscribes."""
        if subscriber not in self._subscribers:
            self._subscribers = (*self._subscribers, subscriber)

    def publish(self, event: Event) -> None:
        """Call every subscriber, in the order in which they subscribed."""
        for subscriber in self._subscribers:
            self.publish_to(subscriber, event)

    def publish_to(self, subscriber: Subscriber, event: Event) -> None:
        """Call one subscriber, which need not have subscribed."""
        try:
            subscriber(event)
        except BaseException as error:  # noqa: BLE001  # a border: it harms nobody, not by SystemExit either
            self._note(subscriber, event, error)

    def _note(self, subscriber: Subscriber, event: Event, error: BaseException) -> None:
        kind = name_of(type(error))
        known = id(subscriber), kind
        if known in self._known:
            return
        self._known.add(known)
        # As texts: handlers would ask a user's classes again. They may raise, too.
        with suppress(BaseException):
            log.error(
                "subscriber %s raised %s on %s: %s; the like of it is not logged again\n%s",
                _shown(subscriber),
                kind,
                type(event).__name__,
                message_of(error),
                traceback_of(error),
            )


def _shown(subscriber: object) -> str:
    try:
        return repr(subscriber)
    except BaseException:  # noqa: BLE001  # a user's class may do anything
        return f"of {name_of(type(subscriber))}"
