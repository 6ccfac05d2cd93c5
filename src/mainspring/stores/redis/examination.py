"""Examination of a server: the findings of `mainspring doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import StoreError, StoreUnusable
from mainspring.model.diagnosis import Diagnosis
from mainspring.stores.redis.suitability import check, version_of, weakness_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.stores.redis.server import Server

FULL = 0.8
"""The part of `maxmemory` in use from which there is a warning."""


def examine(server: Server, *, full: bool) -> Iterator[Diagnosis]:
    """Yield what was looked at, most basic first."""
    label = server.address.label
    try:
        settings = server.settings()
        check(settings, label)
    except StoreUnusable as error:
        yield Diagnosis("server", "problem", f"{label}: {error.why}", error.remedy)
        return
    except StoreError as error:
        yield Diagnosis("server", "problem", str(error), "try again")
        return
    yield Diagnosis("server", "ok", f"{label} is {version_of(settings)}, a primary")
    yield memory_of(settings)
    yield durability_of(settings, full=full)
    yield clients_of(settings)


def memory_of(settings: dict[str, str]) -> Diagnosis:
    """Return how full it is."""
    used, most = int(settings.get("used_memory", 0)), int(settings.get("maxmemory", 0))
    says = f"{used / 2**20:,.1f} MiB in use, noeviction"
    if not most:
        return Diagnosis("memory", "ok", f"{says}, no maxmemory")
    says += f", {used / most:.0%} of maxmemory"
    if used < FULL * most:
        return Diagnosis("memory", "ok", says)
    return Diagnosis(
        "memory", "warning", says, "raise maxmemory, or keep finished jobs for less long"
    )


def durability_of(settings: dict[str, str], *, full: bool) -> Diagnosis:
    """Return what its end would lose."""
    weakness = weakness_of(settings)
    replicas = int(settings.get("connected_slaves", 0))
    beside = f"; a failover to one of its {replicas} replicas may lose the last writes"
    if settings.get("aof_last_write_status", "ok") != "ok":
        says = "it can't write its append-only file"
        return Diagnosis("durability", "problem", says, "look at its log and its disk")
    if not weakness:
        says = "every write is on its disk before it is answered"
        return Diagnosis("durability", "ok", says + (beside if replicas else ""))
    level = "warning" if full or settings.get("aof_enabled") != "1" else "ok"
    remedy = "set appendonly yes and appendfsync always" if full else ""
    return Diagnosis("durability", level, f"it {weakness}{beside if replicas else ''}", remedy)  # type: ignore[arg-type]  # of two literals


def clients_of(settings: dict[str, str]) -> Diagnosis:
    """Return how many connections it has, and may have."""
    used, most = int(settings.get("connected_clients", 0)), int(settings.get("maxclients", 0))
    says = f"{used:,} connections of {most:,}" if most else f"{used:,} connections"
    if not most or used < FULL * most:
        return Diagnosis("clients", "ok", says)
    return Diagnosis("clients", "warning", says, "raise maxclients")
