"""A job's public id: the store's key, and a nonce that tells jobs of two databases apart."""

from __future__ import annotations

import random
import re

_ID = re.compile(r"(-?[0-9]{1,19})-(-?[0-9a-f]{7,16})", re.ASCII)
INTEGERS = range(-(2**63), 2**63)
"""What a column of 64 bits can hold."""


def new_nonce() -> int:
    """Return 32 random bits."""
    return random.getrandbits(32)


def format_id(key: int, nonce: int) -> str:
    """Return the public id of a job."""
    return f"{key}-{nonce:08x}"


def parse_id(job_id: str) -> tuple[int, int] | None:
    """Return key and nonce, or None if `job_id` was not made by `format_id`."""
    found = _ID.fullmatch(job_id)
    if found is None:
        return None
    key, nonce = int(found[1]), int(found[2], 16)
    sound = key in INTEGERS and nonce in INTEGERS and format_id(key, nonce) == job_id
    return (key, nonce) if sound else None
