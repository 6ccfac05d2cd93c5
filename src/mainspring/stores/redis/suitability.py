"""Settings of a server that a store needs, and those that its durability depends on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from mainspring.errors import StoreUnusable

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

SECTIONS = ("server", "clients", "memory", "persistence", "replication", "cluster")
LEAST_VERSION = (7, 2)
"""The version of Redis; Valkey tells that of the Redis it is compatible with."""


def settings_of(connection: AbstractConnection) -> dict[str, str]:
    """Return what INFO says, and `appendfsync` and `maxclients` where the server tells them."""
    connection.send_command("INFO", *SECTIONS)
    lines = connection.read_response().decode().splitlines()
    settings = dict(line.split(":", 1) for line in lines if ":" in line)
    # Hosted servers have no CONFIG.
    with suppress(ResponseError):
        connection.send_command("CONFIG", "GET", "appendfsync")
        _, settings["appendfsync"] = (text.decode() for text in connection.read_response())
    return settings


def version_of(settings: dict[str, str]) -> str:
    """Return name and version of the server."""
    if "valkey_version" in settings:
        return f"Valkey {settings['valkey_version']}"
    return f"Redis {settings.get('redis_version', 'of an unknown version')}"


def check(settings: dict[str, str], label: str) -> None:
    """Raise StoreUnusable if a store can't be on such a server."""
    version = settings.get("redis_version", "0").split(".")
    if tuple(int(part) for part in version[:2] if part.isdigit()) < LEAST_VERSION:
        why = f"{version_of(settings)} is too old"
        raise StoreUnusable(label, why, "use Redis 7.2, Valkey 8 or newer")
    if settings.get("role") == "slave":
        raise StoreUnusable(label, "it is a replica", "give the URL of the primary")
    policy = settings.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        why = f"with maxmemory-policy {policy} it drops jobs when its memory is full"
        raise StoreUnusable(label, why, "set maxmemory-policy noeviction")


def weakness_of(settings: dict[str, str]) -> str:
    """Return what a crash of the server loses, for people; an empty text for nothing."""
    if settings.get("aof_enabled") != "1":
        return "keeps no append-only file, so a crash loses all jobs since its last snapshot"
    fsync = settings.get("appendfsync")
    if fsync is None:
        return "does not tell its appendfsync; unless that is always, a power cut may lose a second"
    if fsync != "always":
        return f"has appendfsync {fsync}, so a power cut may lose the jobs of the last second"
    return ""
