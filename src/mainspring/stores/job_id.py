"""A job's public id: the store's key, and a nonce that tells jobs of two databases apart."""

from __future__ import annotations

import random
import re
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ID = re.compile(r"(-?[0-9]{1,19})-(-?[0-9a-f]{7,16})", re.ASCII)
INTEGERS = range(-(2**63), 2**63)
"""Largest number of a column of 64 bits."""


new_nonce: Callable[[], int] = partial(random.getrandbits, 32)
"""Returns 32 random bits."""


def format_id(key: int, nonce: int) -> str:
    """Return the public id of a job."""
    return f"{key}-{nonce:08x}"


def keys_in(job_ids: Iterable[str]) -> list[int]:
    """Return the keys in ids that a store gave."""
    return [parsed[0] for job_id in job_ids if (parsed := parse_id(job_id))]


def ids_of(keys: Iterable[int], job_ids: Iterable[str]) -> list[str]:
    """Return those of the ids that hold one of the keys."""
    begins = {str(key) for key in keys}
    return [job_id for job_id in job_ids if job_id.partition("-")[0] in begins]


def parse_id(job_id: str) -> tuple[int, int] | None:
    """Return key and nonce, or None if `job_id` was not made by `format_id`."""
    found = _ID.fullmatch(job_id)
    if found is None:
        return None
    key, nonce = int(found[1]), int(found[2], 16)
    sound = key in INTEGERS and nonce in INTEGERS and format_id(key, nonce) == job_id
    return (key, nonce) if sound else None
