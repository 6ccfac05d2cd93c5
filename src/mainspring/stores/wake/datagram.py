"""Datagram of a wake-up: the keys of the jobs it is about, a byte for any job or for a poke."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from mainspring.model.job import ANY_JOB, Notice

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ANY = b"!"
"""The datagram that is about any job."""

POKE = b"."
"""The datagram by which a process ends a wait of its own."""

KEY_BYTES = 8
MOST_KEYS = 250
"""Keys in a datagram, which macOS ends at 2,048 bytes; about more jobs it is about any."""

MOST_BYTES = MOST_KEYS * KEY_BYTES
FULL_QUEUE = 10
"""Datagrams that fit into a socket on every system: with so many, others may have been refused."""


def datagram_of(keys: Collection[int]) -> bytes:
    """Return the datagram about the jobs with these keys; none: any."""
    return array("q", keys).tobytes() if 0 < len(keys) <= MOST_KEYS else ANY


def notice_in(received: Sequence[bytes]) -> Notice | None:
    """Return what datagrams say together; None if there is nothing but pokes."""
    datagrams = [datagram for datagram in received if datagram != POKE]
    if not datagrams:
        return None
    if len(received) >= FULL_QUEUE or any(len(one) % KEY_BYTES for one in datagrams):
        return ANY_JOB
    return Notice(frozenset(array("q", b"".join(datagrams))))
