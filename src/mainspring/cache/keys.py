"""Keys of cached results: a function's name with its arguments, as text that tells types apart."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from mainspring.model.codec import JsonCodec

if TYPE_CHECKING:
    from mainspring.model.signature import TaskSignature

PREFIX = "task_cache:"
LONGEST = 200
"""Characters of a key; of longer ones only a digest is kept."""

_encode = JsonCodec(limit_bytes=64 << 20).encode_call


def cache_key(
    name: str, shape: TaskSignature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Return one key for all calls that give the same parameters the same values.

    Raises InvalidArguments for values that have no text which tells them from all others.
    """
    values, rest = shape.values(args, kwargs)
    key = f"{PREFIX}{name}:{_encode(name, values, rest).decode()}"
    if len(key) <= LONGEST:
        return key
    return f"{PREFIX}{name[:100]}:{blake2b(key.encode(), digest_size=20).hexdigest()}"
