"""A Redis or Valkey server: scripts are run on it, again where they did not get through."""

from __future__ import annotations

import random
import re
import time
from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from msgspec import msgpack
from redis.backoff import NoBackoff
from redis.connection import Connection, parse_url
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry

from mainspring.clock import monotonic
from mainspring.errors import InvalidOption, StoreUnreachable
from mainspring.stores.outage import Outage
from mainspring.stores.redis.answer import decode
from mainspring.stores.redis.scripts import script
from mainspring.stores.redis.suitability import check, settings_of
from mainspring.stores.redis.trouble import is_passing, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.connection import AbstractConnection

    from mainspring.stores.redis.server_address import ServerAddress

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries."""

NAME = re.compile("[0-9a-f]{16}")
"""A name of a store, which names a folder: of any other a hash does."""

UNSENT = "unsent"
"""Mark of an error that came before the script was sent."""

encode = msgpack.Encoder().encode


class Server:
    """Runs scripts on a server. Safe to use from any thread.

    `patience` is the seconds for which a call tries again, `sender` tells its notices from those of
    others, and `now` returns stored time in place of the server's (None: that is asked). `opened`
    is called with the server's settings after each connection.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        patience: float,
        sender: str,
        now: Callable[[], int] | None,
        opened: Callable[[dict[str, str]], None],
    ) -> None:
        self.address = address
        self.name = ""
        self._patience = patience
        self._sender = sender
        self._now = now
        self._opened = opened
        self._idle: deque[AbstractConnection] = deque()
        self._outage = Outage(address.label)
        self._options = {
            **parameters_of(address),
            "decode_responses": False,
            "socket_timeout": min(ANSWER_SECONDS, max(patience / 2, 0.5)),
            "socket_connect_timeout": min(CONNECT_SECONDS, max(patience / 2, 0.5)),
            # By default the library itself tries again for seconds.
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "client_name": "mainspring",
        }

    def run(self, name: str, *request: object, again: bool = True) -> tuple[list[Any], Any]:
        """Run a script; return the topics that it notified, with keys, and its answer.

        `again` says that it may be sent again when its answer was lost. Raises StoreError.
        """
        now = "" if self._now is None else str(self._now())
        arguments = (1, self.address.prefix, self._sender, now, encode(request))
        began, pause = monotonic(), FIRST_PAUSE
        while True:
            try:
                topics, answer = decode(self._ask(name, arguments))
            except RedisError as error:
                waited = monotonic() - began
                meaning = meaning_of(error, self.address.label, waited)
                if isinstance(meaning, StoreUnreachable):
                    self._outage.note(str(error))
                if waited + pause > self._patience or not _is_repeated(error, again=again):
                    raise meaning from error
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self._outage.lasts:
                    self._outage.end()
                return topics, answer

    def settings(self) -> dict[str, str]:
        """Return what the server says of itself; raises StoreError."""
        try:
            connection = self.connect()
            try:
                return settings_of(connection)
            finally:
                connection.disconnect()
        except RedisError as error:
            raise meaning_of(error, self.address.label, 0.0) from error

    def connect(self) -> AbstractConnection:
        """Return a new connection; raises RedisError."""
        options = dict(self._options)
        connection: AbstractConnection = options.pop("connection_class")(**options)
        try:
            connection.connect()
            return connection  # noqa: TRY300  # else an exception could come before it
        except BaseException as error:
            connection.disconnect()
            error.__dict__[UNSENT] = True
            raise

    def close(self) -> None:
        """Close the connections; the next use opens others."""
        while self._idle:
            self._idle.pop().disconnect()

    def _ask(self, name: str, arguments: tuple[object, ...]) -> bytes:
        connection = self._take()
        try:
            answer = _evaluate(connection, name, arguments)
        except ReadOnlyError:
            # A failover has made a replica of it: by now the URL may lead to the primary.
            connection.disconnect()
            self.close()
            raise
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            # An answer that is still on its way would be taken for that of the next call.
            connection.disconnect()
            raise
        self._idle.append(connection)
        return answer

    def _take(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
            connection.disconnect()
        connection = self.connect()
        try:
            self._prepare(connection)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _prepare(self, connection: AbstractConnection) -> None:
        """Refuse an unfit server, and let the store know which one it is on."""
        try:
            settings = settings_of(connection)
            check(settings, self.address.label)
            request = encode((settings.get("run_id", ""), f"{random.getrandbits(64):016x}"))
            arguments = (1, self.address.prefix, self._sender, "", request)
            name = decode(_evaluate(connection, "begin", arguments))[1]
            self.name = (
                name
                if NAME.fullmatch(name)
                else sha1(name.encode(), usedforsecurity=False).hexdigest()[:16]
            )
        except RedisError as error:
            error.__dict__[UNSENT] = True
            raise
        self._opened(settings)


def parameters_of(address: ServerAddress) -> dict[str, Any]:
    """Return what a URL says of a connection; raises InvalidOption. It connects to nothing."""
    try:
        parameters = {"connection_class": Connection, **parse_url(address.url)}
        # Of a pool of the library's: here each thread that calls just now has a connection.
        parameters.pop("max_connections", None)
        options = dict(parameters)
        options.pop("connection_class")(**options)
    except (TypeError, ValueError) as error:
        why = f"has a parameter that the client library refuses ({error})"
        remedy = "leave it out, or write it as the documentation of redis-py does"
        raise InvalidOption("url", address.label, owner="Queue", why=why, remedy=remedy) from error
    return parameters


def _evaluate(connection: AbstractConnection, name: str, arguments: tuple[object, ...]) -> bytes:
    known = script(name)
    try:
        return _call(connection, "EVALSHA", known.sha, *arguments)
    except NoScriptError:
        return _call(connection, "EVAL", known.text, *arguments)


def _call(connection: AbstractConnection, *command: Any) -> bytes:
    connection.send_command(*command)
    answer: bytes = connection.read_response()
    return answer


def _is_open(connection: AbstractConnection) -> bool:
    """Return True if nothing has come on an idle connection, not even its end."""
    try:
        return not connection.can_read(0)
    except (NoConnection, NoAnswer, OSError):
        return False


def _is_repeated(error: RedisError, *, again: bool) -> bool:
    if is_passing(error) or isinstance(error, ReadOnlyError):
        return True  # it has done nothing
    if isinstance(error, AuthenticationError) or not isinstance(error, (NoConnection, NoAnswer)):
        return False
    return again or UNSENT in error.__dict__
