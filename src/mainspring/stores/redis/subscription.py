"""A subscription to the notices of other processes, read by a thread of its own."""

from __future__ import annotations

import logging
import random
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import NoPermissionError, RedisError

from mainspring.stores.wake.topics import keys_told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from redis.connection import AbstractConnection

log = logging.getLogger("mainspring.stores")

QUIET_SECONDS = 15.0
"""After so long without a message the server is asked whether it is still there."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class Subscription:
    """Hands on the notices of a namespace, but for those of `sender`.

    It hears of topics that are asked for, not of all: each notice wakes a thread in every process
    that hears of it. `deliver` is called with a topic and the keys of jobs (none: any job); after
    each connection with every topic, since notices may have been missed.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        deliver: Callable[[str, Collection[int]], None],
        *,
        prefix: str,
        topics: Collection[str],
        sender: str,
    ) -> None:
        self._connect = connect
        self._deliver = deliver
        self._prefix = prefix
        self._asked = set(topics)
        self._heard: dict[bytes, str] = {}
        """The topics of this connection, by channel."""
        self._sender = sender.encode()
        self._warned = False
        self._subscribed = threading.Event()
        self._closed = threading.Event()
        self._connection: AbstractConnection | None = None
        self._thread = threading.Thread(target=self._run, name="mainspring-notices", daemon=True)
        self._thread.start()

    def hear(self, topics: Collection[str]) -> None:
        """Hear of these topics as well: by another connection, since this one is read just now."""
        self._asked.update(topics)
        # Not by what was asked before: that call may have been interrupted here.
        if not set(topics) <= set(self._heard.values()):
            self._subscribed.clear()
            self._wake()

    def wait(self, seconds: float) -> bool:
        """Wait until it is subscribed, so long at most; return whether it is."""
        return self._subscribed.wait(seconds)

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(LONGEST_PAUSE)

    def _wake(self) -> None:
        # Its descriptor is closed by the thread that reads it, or another file could be read. And
        # TLS is not ended under that thread, as its own `shutdown` would do.
        with suppress(AttributeError, OSError, TypeError):
            socket.socket.shutdown(self._connection._sock, socket.SHUT_RDWR)  # type: ignore[arg-type, union-attr]  # noqa: SLF001

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            asked = len(self._asked)
            try:
                self._read_all()
            except NoPermissionError:
                self._look_now_and_then()
            except (RedisError, OSError):
                if self._subscribed.is_set():
                    pause = FIRST_PAUSE
                self._subscribed.clear()
            if len(self._asked) > asked:
                continue  # it was ended to hear of more
            self._closed.wait(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _read_all(self) -> None:
        """Read until the connection ends."""
        # In this order: who asks for more later has this connection to end.
        connection = self._connection = self._connect()
        self._heard = {f"{self._prefix}{topic}".encode(): topic for topic in list(self._asked)}
        try:
            connection.send_command("SUBSCRIBE", *self._heard)
            for _ in self._heard:
                connection.read_response()
            self._deliver_all()
            self._subscribed.set()
            while not self._closed.is_set():
                if connection.can_read(QUIET_SECONDS):
                    self._take(connection.read_response())
                else:
                    connection.send_command("PING")
                    self._take(connection.read_response())
        finally:
            connection.disconnect()

    def _look_now_and_then(self) -> None:
        """Wake who sleeps, in the place of notices that this user may not read."""
        if not self._warned:
            self._warned = True
            log.warning(
                "this user of the server may not subscribe to its channels, so that new jobs and"
                " results are seen up to %g s later; give it &%s*",
                LONGEST_PAUSE,
                self._prefix,
            )
        self._deliver_all()

    def _deliver_all(self) -> None:
        for topic in self._heard.values():
            self._deliver(topic, ())

    def _take(self, message: list[bytes]) -> None:
        topic = self._heard.get(message[1]) if message[0] == b"message" else None
        if topic is None:
            return
        sender, _, keys = message[2].partition(b" ")
        if sender != self._sender:
            self._deliver(topic, keys_told(keys.decode("ascii", "replace")))
