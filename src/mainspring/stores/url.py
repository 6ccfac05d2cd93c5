"""The store that a URL names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mainspring.errors import InvalidOption, MissingExtra
from mainspring.model.duration import seconds_of
from mainspring.model.options import FLAG

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from mainspring.protocols import JobStore

SQLITE = "sqlite:///"
URLS = (
    "sqlite:///jobs.db, sqlite:////var/lib/jobs.db, postgresql://user@host/database, "
    "redis://host:6379/0 or memory://"
)


def location(url: str | None, db_path: str | PathLike[str] | None) -> str:
    """Return the URL meant: `url`, or `db_path` as one, or MAINSPRING_URL, or a file here.

    Raises InvalidOption if both are given, or what is no text.
    """
    if url is not None and db_path is not None:
        raise InvalidOption(
            "db_path",
            db_path,
            owner="Queue",
            why="can't be combined with a URL",
            remedy="give only one of them",
        )
    if db_path is not None:
        return f"{SQLITE}{os.fspath(db_path).replace('%', '%25')}"
    if url is not None and not isinstance(url, str):
        raise InvalidOption("url", url, owner="Queue", expected=URLS)
    return url or os.environ.get("MAINSPRING_URL") or f"{SQLITE}mainspring.db"


def file_of(url: str) -> str | None:
    """Return the path of the file that a URL names, None if it names no file."""
    scheme, _, path = url.partition("://")
    return expanded(unquote(path[1:])) if scheme == "sqlite" else None


def expanded(path: str) -> str:
    """Return a path in which `~` stands for a home, as a shell would have it."""
    return os.path.expanduser(path)  # noqa: PTH111  # no pathlib for a producer


STORE_OPTIONS = ("durability", "busy_timeout", "auto_migrate", "wal")
"""Options of a queue that are its store's."""


def open_store(
    url: str,
    *,
    durability: str,
    busy_timeout: float,
    auto_migrate: bool = True,
    wal: bool = True,
) -> JobStore:
    """Return the store of a URL; nothing is opened before its first use.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///~/at_home.db`, `memory://`,
    `redis://host:6379/0`, `rediss://`, `unix:///path`, `postgresql://user@host/database`.
    `busy_timeout` in seconds. A store without tables does not look at `auto_migrate`. Raises
    InvalidOption, also for `wal=False` with a server's URL, where it could mean nothing.
    """
    check_options(durability, busy_timeout, auto_migrate=auto_migrate, wal=wal)
    scheme, _, path = url.partition("://")
    if scheme not in STORES or (scheme == "sqlite" and not (path.startswith("/") and path[1:])):
        remedy = _rewritten(url, scheme, path)
        expected = "" if remedy else URLS
        raise InvalidOption("url", url, owner="Queue", expected=expected, remedy=remedy)
    if not wal and scheme not in ("sqlite", "memory"):
        why = "is for SQLite files, and this URL names a server"
        raise InvalidOption("wal", wal, owner="Queue", why=why, remedy="leave it out")
    return STORES[scheme](url, durability, busy_timeout, auto_migrate=auto_migrate, wal=wal)


def _rewritten(url: str, scheme: str, path: str) -> str:
    """Return what to write in the place of a URL that others understand, "" if that is unknown."""
    dialect = scheme.partition("+")[0]
    if url == ":memory:" or (scheme == "sqlite" and path.strip("/") in ("", ":memory:")):
        return 'write "memory://" for a queue that ends with this process'
    if scheme in RENAMED:
        return f'write "{RENAMED[scheme]}://"'
    if dialect in STORES and dialect != scheme:
        return f'write "{dialect}://" without the driver'
    if scheme == "sqlite":
        return f'write "{SQLITE}{path}", with three slashes before the path'
    if "://" not in url:
        return "write db_path=... for a file"
    return ""


RENAMED = {"valkey": "redis", "valkeys": "rediss", "redis+socket": "unix"}
"""Schemes that other clients of Redis and Valkey have, and ours."""


def _memory(_url: str, _durability: str, _busy_timeout: float, **_others: bool) -> JobStore:
    from mainspring.stores.memory import MemoryStore  # noqa: PLC0415  # a lazy door

    return MemoryStore()


def _sqlite(
    url: str, durability: str, busy_timeout: float, *, auto_migrate: bool, wal: bool
) -> JobStore:
    from mainspring.stores.sqlite.store import SqliteStore  # noqa: PLC0415  # a lazy door

    path = file_of(url) or ""
    return SqliteStore(
        path, durability=durability, busy_timeout=busy_timeout, auto_migrate=auto_migrate, wal=wal
    )


def _redis(url: str, durability: str, busy_timeout: float, **_others: bool) -> JobStore:
    from mainspring.stores.redis.store import RedisStore  # noqa: PLC0415  # a lazy door

    return RedisStore(url, durability=durability, busy_timeout=busy_timeout)


def _postgres(
    url: str, durability: str, busy_timeout: float, *, auto_migrate: bool, **_others: bool
) -> JobStore:
    try:
        from mainspring.stores.postgres.store import PostgresStore  # noqa: PLC0415  # a lazy door
    except ImportError as error:
        raise MissingExtra("a queue in PostgreSQL", "postgres") from error
    return PostgresStore(
        url, durability=durability, busy_timeout=busy_timeout, auto_migrate=auto_migrate
    )


STORES: dict[str, Callable[..., JobStore]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "postgresql": _postgres,
    "postgres": _postgres,
}
"""The store of each scheme."""


def check_options(
    durability: object, busy_timeout: object, *, auto_migrate: object = True, wal: object = True
) -> None:
    """Raise InvalidOption for an option that makes no sense."""
    # For every store: a queue that is in memory under test is on a disk one day.
    if durability not in ("full", "normal"):
        expected = '"full" or "normal"'
        raise InvalidOption("durability", durability, owner="Queue", expected=expected)
    seconds_of("Queue", "busy_timeout", busy_timeout, positive=True)
    FLAG("Queue", "auto_migrate", auto_migrate)
    FLAG("Queue", "wal", wal)
