"""Which store a URL names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from os import PathLike

    from mainspring.protocols import JobStore


def location(url: str | None, db_path: str | PathLike[str] | None) -> str:
    """Return the URL meant: `url`, or `db_path` as one, or MAINSPRING_URL, or a file here.

    Raises InvalidOption if both are given.
    """
    if url is not None and db_path is not None:
        raise InvalidOption("db_path", db_path, owner="Queue", expected="either a URL or db_path")
    if db_path is not None:
        return f"sqlite:///{os.fspath(db_path)}"
    return url or os.environ.get("MAINSPRING_URL") or "sqlite:///mainspring.db"


def file_of(url: str) -> str | None:
    """Return the path of the file that a URL names, None if it names no file."""
    scheme, _, path = url.partition("://")
    return unquote(path[1:]) if scheme == "sqlite" else None


def open_store(url: str, *, durability: str, busy_timeout: float) -> JobStore:
    """Return the store of a URL; nothing is opened before its first use.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `memory://`. `busy_timeout` in seconds.
    """
    scheme, _, path = url.partition("://")
    if scheme == "memory":
        from mainspring.stores.memory import MemoryStore  # noqa: PLC0415  # a lazy door

        return MemoryStore()
    if scheme == "sqlite" and path.startswith("/") and len(path) > 1:
        from mainspring.stores.sqlite.store import SqliteStore  # noqa: PLC0415  # a lazy door

        return SqliteStore(unquote(path[1:]), durability=durability, busy_timeout=busy_timeout)
    expected = "sqlite:///jobs.db, sqlite:////var/lib/jobs.db or memory://"
    raise InvalidOption("url", url, owner="Queue", expected=expected)
