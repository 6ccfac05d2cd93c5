"""One subscriber of events: called in a thread of its own, unless it wants to be in the way."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mainspring.model.events import EventsDropped
from mainspring.model.job_event import JobEvent
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.forked import reset_in_child

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.model.events import Event
    from mainspring.model.hidden_names import HiddenNames
    from mainspring.protocols import Subscriber

    Line = SimpleQueue[Event | threading.Event | None]

_log = logging.getLogger("mainspring.events")

MOST_WAITING_EVENTS = 10_000
"""Events that wait for a subscriber; what comes above is dropped, counted and told."""

CLOSING_SECONDS = 2.0
"""Seconds that an end waits at most for a subscriber to hear what is left."""


class EventSubscription:
    """A subscriber with its kinds of events. Thread-safe.

    A slow one holds up nobody: events wait in a line of `MOST_WAITING_EVENTS`, and are dropped
    when it is full. One that raises is logged, once for each class of error, and goes on.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        kinds: Collection[str],
        *,
        inline: bool,
        hidden: HiddenNames | None,
    ) -> None:
        self.subscriber = subscriber
        self.kinds = frozenset(kinds)
        self._hidden = hidden
        self._bus = EventBus()
        self._line: Line = SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self._warned = False
        self.give = self.call if inline else self._put
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """In a forked child: what waits is told by the parent, which has the thread, too."""
        self._line, self._thread, self._dropped = SimpleQueue(), None, 0
        self._lock = threading.RLock()

    def call(self, event: Event) -> None:
        """Call the subscriber here and now; never raises."""
        if self._hidden is not None and isinstance(event, JobEvent):
            event = event.hiding(self._hidden)
        self._bus.publish_to(self.subscriber, event)

    def flush(self, seconds: float) -> None:
        """Wait until it has heard what was put into its line, so long at most."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            heard = threading.Event()
            self._line.put(heard)
            heard.wait(seconds)

    def close(self) -> None:
        """End its thread when it has heard what waits; the next event starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            line, self._line = self._line, SimpleQueue()
            line.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSING_SECONDS)

    def _put(self, event: Event) -> None:
        if self._line.qsize() >= MOST_WAITING_EVENTS:
            self._drop()
            return
        self._line.put(event)
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._start()

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1
            first, self._warned = not self._warned, True
        if first:
            _log.warning(
                "subscriber %r is slower than events happen: %d wait, and more are dropped; it is "
                "told how many by EventsDropped",
                self.subscriber,
                MOST_WAITING_EVENTS,
            )

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, args=(self._line,), daemon=True)
                thread.name = "mainspring-events"
                self._thread = thread
                thread.start()

    def _work(self, line: Line) -> None:
        while (event := line.get()) is not None:
            if isinstance(event, threading.Event):
                event.set()
                continue
            if self._dropped:
                with self._lock:
                    dropped, self._dropped = self._dropped, 0
                self.call(EventsDropped(dropped))
            self.call(event)
