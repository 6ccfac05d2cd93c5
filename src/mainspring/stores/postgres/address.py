"""The address of a queue in PostgreSQL: a URL of libpq, and a few parameters of ours in it."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zlib import crc32

from msgspec import Struct
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mainspring.errors import InvalidOption, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
SCHEMA_NAME = "mainspring"
MOST_CONNECTIONS = 10
CONNECT_SECONDS = 5
DEFAULTS = {
    "application_name": "mainspring",
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
OURS = ("schema", "listen_url", "listen", "auto_migrate", "max_connections")
SWITCHES = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


class PostgresAddress(Struct, frozen=True):
    """The server, the schema in it, and how to reach both.

    `listen_conninfo` leads to the server itself where `conninfo` leads to a pooler. `listen` off
    does without it: then idle workers look once a second. `pooled`: a session may be another one
    at each transaction.
    """

    conninfo: str
    listen_conninfo: str
    schema: str
    safe_url: str
    listen: bool = True
    pooled: bool = False
    auto_migrate: bool = True
    max_connections: int = MOST_CONNECTIONS
    connect_timeout: float = CONNECT_SECONDS
    busy_timeout: float = 30.0

    def __repr__(self) -> str:
        return f"<PostgresAddress {self.safe_url}>"  # the others hold the password

    @property
    def url_for_people(self) -> str:
        """The URL without its password, that names the schema if that is not the usual one."""
        return self.safe_url + ("" if self.schema == SCHEMA_NAME else f"?schema={self.schema}")

    @property
    def lock_class(self) -> int:
        """The first number of our advisory locks: other schemas of a database have others."""
        return lock_class(self.schema)

    @property
    def folder(self) -> str:
        """The name of the folder in which nodes on this host have their locks: of no other store.

        Who sweeps it takes nodes that this store does not know for gone.
        """
        parts = conninfo_to_dict(self.conninfo)
        place = [str(parts.get(name, "")) for name in ("host", "hostaddr", "port", "dbname")]
        told = " ".join((self.safe_url, *place, self.schema))
        return f"postgres-{sha256(told.encode()).hexdigest()[:16]}"

    def channel(self, topic: str) -> str:
        """Return the channel on which a topic is notified."""
        return channel_of(self.schema, topic)

    def unusable(self, why: str, remedy: str) -> StoreUnusable:
        """Return the error of a store that can't be used."""
        return StoreUnusable(self.safe_url, why, remedy)


def channel_of(schema: str, topic: str) -> str:
    """Return the channel on which a topic of a schema is notified."""
    return f"{schema}_{topic}"


def address_of(url: str, busy_timeout: float = 30.0) -> PostgresAddress:
    """Return the address that a URL names. Raises `InvalidOption`; connects to nothing."""
    given = urlsplit(url)
    asked = dict(parse_qsl(given.query, keep_blank_values=True))
    ours = {name: asked.pop(name) for name in OURS if name in asked}
    try:
        parts = conninfo_to_dict(given._replace(query=urlencode(asked, quote_via=quote)).geturl())
        direct = conninfo_to_dict(ours["listen_url"]) if "listen_url" in ours else parts
    except (ProgrammingError, ValueError) as error:
        raise refused("url", "postgresql://...", str(error).strip()) from None
    schema = ours.get("schema", SCHEMA_NAME)
    if not SCHEMA.fullmatch(schema):
        raise refused("schema", schema, "letters, digits and underscores, 48 at most")
    return PostgresAddress(
        conninfo=make_conninfo("", **(DEFAULTS | parts)),
        listen_conninfo=make_conninfo("", **(DEFAULTS | direct)),
        schema=schema,
        busy_timeout=busy_timeout,
        safe_url=safe(url),
        listen=switch(ours, "listen"),
        pooled="listen_url" in ours or not switch(ours, "listen"),
        auto_migrate=switch(ours, "auto_migrate"),
        max_connections=number(ours, "max_connections", MOST_CONNECTIONS),
        connect_timeout=max(1, number(parts, "connect_timeout", CONNECT_SECONDS)),
    )


def safe(url: str) -> str:
    """Return a URL without its password and parameters, for messages."""
    given = urlsplit(url)
    name, _, _ = given.netloc.rpartition("@")
    host = given.netloc.rpartition("@")[2]
    user = name.partition(":")[0]
    return f"{given.scheme}://{user}{'@' if user else ''}{host}{given.path}"


def lock_class(schema: str) -> int:
    """Return the first number of our advisory locks: other schemas of a database have others."""
    return crc32(f"mainspring:{schema}".encode()) & 0x7FFF_FFFF


def switch(options: dict[str, str], name: str) -> bool:
    """Return a parameter that is on or off; on, if it is not there."""
    value = options.get(name, "true").lower()
    if value not in SWITCHES:
        raise refused(name, value, "true or false")
    return SWITCHES[value]


def number(options: Mapping[str, object], name: str, default: int) -> int:
    """Return a parameter that is a whole number above 0."""
    value = str(options.get(name, default))
    if not value.isdecimal() or int(value) < 1:
        raise refused(name, value, "a whole number above 0")
    return int(value)


def refused(option: str, value: str, expected: str) -> InvalidOption:
    """Return the error of a parameter that makes no sense."""
    return InvalidOption(option, value, owner="Queue", expected=expected)
