"""The store that a queue is bound to: opened at its first use, another one during a test."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption, NotRunning
from mainspring.model.codec import JsonCodec
from mainspring.model.place import frame_outside
from mainspring.model.script import module_names, note_script
from mainspring.queue.client import QueueClient
from mainspring.queue.transaction import Transactions
from mainspring.stores.public_url import public_url
from mainspring.stores.url import STORE_OPTIONS, check_options, location, open_store
from mainspring.telemetry.event_feed import EventFeed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mainspring.model.middleware import Middleware
    from mainspring.model.resource import Resource
    from mainspring.model.sending import Sender
    from mainspring.model.task import Registry
    from mainspring.protocols import Codec, JobStore
    from mainspring.queue.priority_order import PriorityOrder
    from mainspring.telemetry.job_events import JobEvents

TEST_PROCESS = "MAINSPRING_TEST_PROCESS"
"""In the environment of a test's child processes: the test's own, whose store they don't have."""


class Binding:
    """The registrations of one queue, and the client of the store that it uses.

    With an explicit URL or path the store is known from the start, so that what is relative is
    meant from there; else the environment says it at the first use. `chosen` is told the URL.
    """

    def __init__(
        self,
        codec: Codec,
        tasks: Registry,
        given: Mapping[str, Any],
        chosen: Callable[[str], None],
        priority_order: PriorityOrder = "lower_first",
    ) -> None:
        self.priority_order: PriorityOrder = priority_order
        self.codec = codec
        self.tasks = tasks
        self.errors: dict[str, type[Exception]] = {}
        self.middleware: list[Middleware] = []
        self.resources: dict[str, Resource] = {}
        self.senders: list[Sender] = []
        self.feed = EventFeed()
        self._job_events: JobEvents | None = None
        self._tell = chosen
        self._lock = RLock()
        self._own: QueueClient | None = None
        self._given: dict[str, Any] = {}
        self._url: str | None = None
        self._store: JobStore
        self._choose(given)

    @property
    def url(self) -> str:
        """The URL of the queue's own store; before the first use, the one that it would have."""
        return self._url or location(None, None)

    @property
    def is_used(self) -> bool:
        """True once the queue's own store was asked for."""
        return self._own is not None

    @cached_property
    def client(self) -> QueueClient:
        """The client of the store: found once, and from then on a plain attribute."""
        with self._lock:
            if self._own is None:
                self._own = self._open()
            return self._own

    @property
    def job_events(self) -> JobEvents:
        """The maker of events for those who subscribed; made when it is needed first."""
        if self._job_events is None:
            from mainspring.telemetry.job_events import JobEvents  # noqa: PLC0415  # a lazy door

            self._job_events = JobEvents(self.feed, self.codec, lambda: self.client.store)
        return self._job_events

    def has(self, given: Mapping[str, Any]) -> bool:
        """Return whether the queue has these options of the store already."""
        named = {name: given.get(name) for name in ("url", "db_path")}
        if any(one is not None for one in named.values()) and location(**named) != self.url:
            return False
        return all(self._given[name] == given[name] for name in STORE_OPTIONS if name in given)

    def configure(self, given: Mapping[str, Any], owner: str) -> None:
        """Choose another store, before the first use; raises InvalidOption after it."""
        with self._lock:
            self.check_unused(given, owner)
            named = "url" in given or "db_path" in given
            before = {**self._given, "url": None, "db_path": None} if named else self._given
            self._choose({**before, **given})

    def check_unused(self, given: Mapping[str, Any], owner: str) -> None:
        """Raise InvalidOption, which names the first of the options, after the first use."""
        if self.is_used:
            option, value = next(iter(given.items()), ("url", None))
            if isinstance(value, str):
                value = public_url(value)
            why = f"comes too late: the queue has used {public_url(self.url)} already"
            remedy = "call it before the first job is enqueued and the first worker starts"
            raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)

    @contextmanager
    def bound_to(self, client: QueueClient) -> Iterator[None]:
        """Use another client during the block, in every thread; blocks nest."""
        before = self.__dict__.get("client")
        self.client = client
        try:
            yield
        finally:
            if before is None:
                del self.client
            else:
                self.client = before

    def register(
        self,
        cls: type,
        to_json: Callable[[Any], object] | None,
        from_json: Callable[[Any], Any] | None,
    ) -> None:
        """Let the codec store a class, or let `result()` raise an exception's own class."""
        if not isinstance(cls, type):
            raise InvalidOption("cls", cls, owner="Queue.register()", expected="a class")
        note_script(frame_outside().f_globals)
        is_error = issubclass(cls, Exception)
        if is_error:
            for module in module_names(cls.__module__):
                self.errors[f"{module}.{cls.__qualname__}"] = cls
        if to_json is not None and from_json is not None:
            if not isinstance(self.codec, JsonCodec):
                why = "can't be registered with the codec of this queue"
                remedy = "register it with the codec, or make the queue without codec"
                raise InvalidOption("cls", cls, owner="Queue.register()", why=why, remedy=remedy)
            self.codec.register(cls, to_json, from_json)
        elif not is_error or to_json is not from_json:
            why = "and from_json belong together"
            remedy = "give both; an exception class needs neither"
            raise InvalidOption(
                "to_json", to_json, owner="Queue.register()", why=why, remedy=remedy
            )

    def close(self) -> None:
        """Let go of what the queue's own store holds; the next use opens it again."""
        if self._own is not None:
            self._own.close()
            self._own.store.close()
        self.feed.close()

    def _choose(self, given: Mapping[str, Any]) -> None:
        url, how = None, _how(given)
        if given["url"] is None and given["db_path"] is None:
            check_options(**how)
        else:
            url = location(given["url"], given["db_path"])
            self._store = open_store(url, **how)  # which opens nothing yet
            self._tell(url)
        self._given, self._url = dict(given), url

    def _open(self) -> QueueClient:
        if os.environ.get(TEST_PROCESS, str(os.getpid())) != str(os.getpid()):
            raise NotRunning(
                "the store of a test is in the test's own process: a child process of it can't "
                "reach it, and must not use the real one"
            )
        if self._url is None:
            self._url = location(None, None)
            self._store = open_store(self._url, **_how(self._given))
            self._tell(self._url)
        url, how = self._url, _how(self._given)

        def open_beside(patience: float) -> JobStore:
            return open_store(url, **{**how, "busy_timeout": patience})

        return QueueClient(self._store, self, Transactions(self._store, open_beside, place=url))


def _how(given: Mapping[str, Any]) -> dict[str, Any]:
    return {option: given[option] for option in STORE_OPTIONS}
