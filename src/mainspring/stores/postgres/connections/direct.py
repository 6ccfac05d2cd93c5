"""The direct connection of a process: it listens, and holds the locks that are signs of life.

A lock for each node: as long as the server has it, the node is connected. A shared lock for each
topic that somebody waits for: who enqueues tries it, and notifies only if it is taken. Both end
with the connection, however that ends. One thread has the connection; others say what they want.
"""

from __future__ import annotations

import logging
import os
import random
import select
from collections import deque
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any

import psycopg

from mainspring.clock import monotonic
from mainspring.errors import StoreError, StoreUnreachable
from mainspring.model.job import ANY_JOB, Notice
from mainspring.stores.ownership import let_go, owns
from mainspring.stores.wake.notifier import LocalListener, Notifier
from mainspring.stores.wake.topics import ENDED, LOCKS, ORDERS, READY, keys_told

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.stores.postgres.address import PostgresAddress

TOPICS = {READY: -1, ENDED: -2, ORDERS: -3, LOCKS: -4}
"""The second number of each topic's lock; those of nodes are above 0."""

PATIENCE = 5.0
"""Seconds that a wish is waited for: what comes of it later is noticed all the same."""

LONGEST_PAUSE = 5.0
SILENCE_SECONDS = 10.0
"""Seconds after which a connection that says nothing is asked whether it is still there."""

POLL_SECONDS = 1.0
"""Seconds between two looks of a listener where nothing listens for it (`listen=false`, say)."""

log = logging.getLogger("mainspring.store")


class DirectConnection:
    """Listens and holds locks, by a thread that starts with the first wish."""

    def __init__(
        self, address: PostgresAddress, connect: Callable[[str], psycopg.Connection[Any]]
    ) -> None:
        self._address = address
        self._connect = connect
        self._notifiers = {topic: TopicNotifier(topic, self) for topic in TOPICS}
        self._by_channel = {address.channel(topic): self._notifiers[topic] for topic in TOPICS}
        self._channels = {lock: address.channel(topic) for topic, lock in TOPICS.items()}
        self._locks: set[int] = set()
        self._held: set[int] = set()
        self._wishes: deque[Event] = deque()
        self._thread: Thread | None = None
        self._pipe = (-1, -1)
        self._starting = RLock()
        self._closed = False
        self._refused = False
        """True from when it was refused for good until it is connected after all."""

    def listen(self, topic: str) -> LocalListener:
        """Listen for a topic from now on."""
        listener = self._notifiers[topic].listen()
        self.hold(TOPICS[topic])
        return listener

    def hold(self, lock: int) -> bool:
        """Hold a lock from now on; False if there is no connection just now."""
        if not self._address.listen:
            return False
        if lock not in self._locks or lock not in self._held:
            self._locks.add(lock)
            wish = Event()
            self._wishes.append(wish)
            self._wake()
            wish.wait(PATIENCE)
        return lock in self._held

    def let_go(self, lock: int) -> None:
        """Hold a lock no more, soon."""
        if lock in self._locks:
            self._locks.discard(lock)
            self._in_turn(self._interrupt_if_alive)

    def unlisten(self, topic: str, listeners: int) -> None:
        """Be notified of a topic no more, soon, unless more than so many listen for it."""
        notifier, lock = self._notifiers[topic], TOPICS[topic]
        self.let_go(lock)
        if notifier.listeners > listeners:
            # One has begun in between, and found the lock held: it was notified of nothing.
            self.hold(lock)
            notifier.notify()

    def holds(self, lock: int) -> bool:
        """Return whether a lock is held, or will be once it is connected."""
        return lock in self._locks

    def listeners(self, topic: str) -> int:
        """Return how many in this process listen for a topic."""
        return self._notifiers[topic].listeners

    @property
    def is_deaf(self) -> bool:
        """True where nothing listens, and no waiting will change that: who sleeps must look."""
        return self._refused or not self._address.listen

    def close(self) -> None:
        """End the connection and its thread."""
        self._in_turn(self._end)

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._closed = True
            self._interrupt()
            thread.join(PATIENCE)

    def _wake(self) -> None:
        self._in_turn(self._start_or_interrupt)

    def _start_or_interrupt(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._interrupt()

    def _interrupt_if_alive(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._interrupt()

    def _in_turn(self, work: Callable[[], None]) -> None:
        """Start or end the thread, as no other does just now; an exception leaves no lock."""
        was_mine = owns(self._starting)
        try:
            with self._starting:
                work()
        finally:
            # It may have come as the block ended, before the lock was released.
            if not was_mine:
                let_go(self._starting)

    def _interrupt(self) -> None:
        """End the wait of the thread."""
        with suppress(OSError):
            os.write(self._pipe[1], b"!")

    def _start(self) -> None:
        self._closed = False
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[0], False)  # the standard library's signature
        os.set_blocking(self._pipe[1], False)
        self._thread = Thread(
            target=self._run, args=(self._pipe,), name="mainspring-listener", daemon=True
        )
        self._thread.start()

    def _run(self, pipe: tuple[int, int]) -> None:
        pause = 0.05
        while not self._closed:
            try:
                connection = self._connect(self._address.listen_conninfo)
            except StoreError as error:
                self._report(error)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause, self._refused = 0.05, False
                try:
                    with connection:
                        self._serve(connection, pipe[0])
                except psycopg.Error as error:
                    log.debug("the direct connection has ended: %s", error)
                finally:
                    self._held = set()
            self._answer()
            if not self._closed:
                _wait_for(pipe[0], pause * random.uniform(0.5, 1.5))
        for descriptor in pipe:
            os.close(descriptor)

    def _report(self, error: StoreError) -> None:
        """Log an outage for those who look closely, and once what no waiting will change."""
        refused = not isinstance(error, StoreUnreachable)
        is_news = refused and not self._refused
        self._refused = refused
        log.log(logging.WARNING if is_news else logging.DEBUG, "nobody listens: %s", error)
        if is_news:
            self._notify_all()

    def _notify_all(self) -> None:
        for notifier in self._notifiers.values():
            notifier.notify()

    def _serve(self, connection: psycopg.Connection[Any], wakes: int) -> None:
        self._answer(self._reconcile(connection))
        # Whatever was notified before is not known: everybody looks.
        self._notify_all()
        look = select.poll()
        look.register(connection.fileno(), select.POLLIN)
        look.register(wakes, select.POLLIN)
        while not self._closed:
            self._answer(self._reconcile(connection))
            self._hand_on(connection)
            if not look.poll(SILENCE_SECONDS * 1000):
                connection.execute("SELECT 1")
            with suppress(BlockingIOError):
                os.read(wakes, 4096)

    def _reconcile(self, connection: psycopg.Connection[Any]) -> list[Event]:
        """Hold what is wanted and nothing else; return the wishes that came before."""
        wishes = [self._wishes.popleft() for _ in range(len(self._wishes))]
        wanted, held = set(self._locks), self._held
        statements = [
            *(self._statements_of("LISTEN", "lock_shared", lock) for lock in wanted - held),
            *(self._statements_of("UNLISTEN", "unlock_shared", lock) for lock in held - wanted),
        ]
        if statements:
            connection.execute("; ".join(statements).encode())
        self._held = wanted
        return wishes

    def _statements_of(self, listen: str, verb: str, lock: int) -> str:
        """Return what takes or ends a lock; only whose topics somebody waits for are heard."""
        statement = f"SELECT pg_advisory_{verb}({self._address.lock_class}, {lock})"
        channel = self._channels.get(lock)
        return statement if channel is None else f'{listen} "{channel}"; {statement}'

    def _answer(self, wishes: list[Event] | None = None) -> None:
        if wishes is None:
            wishes = [self._wishes.popleft() for _ in range(len(self._wishes))]
        for wish in wishes:
            wish.set()

    def _hand_on(self, connection: psycopg.Connection[Any]) -> None:
        """Wake those who wait for what the server has notified."""
        for notice in connection.notifies(timeout=0):
            self._by_channel[notice.channel].notify(keys_told(notice.payload))


def _wait_for(descriptor: int, seconds: float) -> None:
    """Wait until something can be read, so long at most; `select` takes no number above 1,023."""
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    look.poll(seconds * 1000)


class TopicNotifier(Notifier):
    """Lets go of its topic's lock with the last listener."""

    def __init__(self, topic: str, direct: DirectConnection) -> None:
        super().__init__()
        self._topic = topic
        self._direct = direct

    def listen(self) -> LocalListener:
        """Listen from now on."""
        listener = DirectListener(self, self._direct)
        self._listeners[listener] = None
        return listener

    @property
    def listeners(self) -> int:
        """The number of listeners."""
        return len(self._listeners)

    def forget(self, listener: LocalListener) -> None:
        """Wake that listener no more."""
        super().forget(listener)
        if not self._listeners:
            self._direct.unlisten(self._topic, 0)


class DirectListener(LocalListener):
    """Sleeps until a notice comes; looks once a second where nothing listens for it."""

    def __init__(self, notifier: Notifier, direct: DirectConnection) -> None:
        super().__init__(notifier)
        self._direct = direct

    def wait(self, timeout: float | None = None) -> Notice | None:
        """Sleep until there may be something new; None if not, after `timeout` or a poke."""
        if not self._direct.is_deaf or (timeout is not None and timeout < POLL_SECONDS):
            return super().wait(timeout)
        began = monotonic()
        notice = super().wait(POLL_SECONDS)
        return ANY_JOB if notice is None and monotonic() - began >= POLL_SECONDS else notice
