"""A job's public id: the store's key, and a nonce that tells jobs of two databases apart."""

from __future__ import annotations

import random

LONGEST_KEY = 18
"""Digits; what is longer can't be a 64-bit key."""


def new_nonce() -> int:
    """Return 32 random bits."""
    return random.getrandbits(32)


def format_id(key: int, nonce: int) -> str:
    """Return the public id of a job."""
    return f"{key}-{nonce:08x}"


def parse_id(job_id: str) -> tuple[int, int] | None:
    """Return key and nonce, or None if `job_id` was not made by `format_id`."""
    key, _, nonce = job_id.partition("-")
    if not key.isdecimal() or len(key) > LONGEST_KEY:
        return None
    try:
        parsed = int(key), int(nonce, 16)
    except ValueError:
        return None
    return parsed if format_id(*parsed) == job_id else None
