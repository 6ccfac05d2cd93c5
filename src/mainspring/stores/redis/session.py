"""The open side of a store: its server, the subscription, and who sleeps in this process."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from mainspring.stores.clock import Moment
from mainspring.stores.ownership import let_go
from mainspring.stores.wake.notifier import Notifier
from mainspring.stores.wake.topics import ORDERS, READY, TOPICS

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock
    from mainspring.stores.redis.server import Server
    from mainspring.stores.redis.server_address import ServerAddress
    from mainspring.stores.redis.subscription import Subscription

log = logging.getLogger("mainspring.stores")

SUBSCRIBE_SECONDS = 1.0
"""Time for which `listen` waits for a server that does not answer; then it answers later."""

_warned: set[str] = set()


class RedisSession:
    """Runs scripts and wakes who sleeps. It is opened at the first use, and of one process.

    `full`: the log says once what an end of the server loses. `patience` in seconds.
    """

    def __init__(
        self, address: ServerAddress, *, patience: float, full: bool, clock: Clock | None
    ) -> None:
        self.process = os.getpid()
        self._address = address
        self._patience = patience
        self._full = full
        self._clock = clock
        self._sender = os.urandom(8).hex()
        self._opening = threading.RLock()
        self._server: Server | None = None
        self._subscription: Subscription | None = None
        self._notifiers = {topic: Notifier() for topic in TOPICS}

    def anew(self) -> RedisSession:
        """Return one for a forked child: threads and connections are the parent's."""
        return RedisSession(
            self._address, patience=self._patience, full=self._full, clock=self._clock
        )

    @property
    def server(self) -> Server:
        """The server."""
        if self._server is None:
            with self._opening:
                self._server = self._server or self._new_server()
        return self._server

    def run(self, name: str, *request: object, again: bool = True) -> Any:
        """Run a script, wake who sleeps in this process, and return the answer.

        `again` says that it may be sent again when its answer was lost. Raises StoreError.
        """
        topics, answer = self.server.run(name, *request, again=again)
        for topic, keys in topics:
            self.notify(topic, [int(key) for key in keys])
        return answer

    def notify(self, topic: str, keys: Collection[int]) -> None:
        """Wake who sleeps in this process; without keys about any job."""
        self._notifiers[topic].notify(keys)

    def recover(self) -> None:
        """Undo what an interrupted call of this thread has left, and wake who sleeps here.

        What the call did, the server has told to other processes only. And the next job is told to
        nobody, unless it is the first in its line.
        """
        let_go(self._opening)
        for notifier in self._notifiers.values():
            notifier.notify()

    def listen(self, topic: str) -> Listener:
        """Listen to this process and to others."""
        # A worker needs both.
        topics = (READY, ORDERS) if topic in {READY, ORDERS} else (topic,)
        with self._opening:
            subscription = self._subscription or self._new_subscription(topics)
            self._subscription = subscription
        subscription.hear(topics)
        subscription.wait(SUBSCRIBE_SECONDS)
        return self._notifiers[topic].listen()

    def close(self) -> None:
        """Close connections and thread; the next use opens others."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        if self._server is not None:
            self._server.close()

    def _new_server(self) -> Server:
        from mainspring.stores.redis.server import Server  # noqa: PLC0415  # a second to import

        clock = self._clock
        return Server(
            self._address,
            patience=self._patience,
            sender=self._sender,
            now=None if clock is None else (lambda: Moment(clock).micros),
            opened=self._warn_of_weakness,
        )

    def _new_subscription(self, topics: Collection[str]) -> Subscription:
        from mainspring.stores.redis.subscription import Subscription  # noqa: PLC0415  # a lazy door

        return Subscription(
            self.server.connect,
            self.notify,
            prefix=self._address.prefix,
            topics=topics,
            sender=self._sender,
        )

    def _warn_of_weakness(self, settings: dict[str, str]) -> None:
        from mainspring.stores.redis.suitability import weakness_of  # noqa: PLC0415  # a lazy door

        weakness = weakness_of(settings) if self._full else ""
        if weakness and self._address.label not in _warned:
            _warned.add(self._address.label)
            log.warning(
                "%s %s; set appendonly yes and appendfsync always, or give the queue"
                ' durability="normal" if that is good enough',
                self._address.label,
                weakness,
            )
