"""Unique keys: what makes two jobs of one task the same, as a text that stores compare.

Each key begins with the task's name, so that two tasks never meet in one. It is a JSON text: no
name and no key of the user's, whatever characters it holds, reads like another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from msgspec import DecodeError, ValidationError, json

from mainspring.errors import InvalidOption
from mainspring.model.job import OnConflict
from mainspring.model.name import EXPECTED, is_name

By = Literal["args", "task"]
ON_CONFLICT: tuple[OnConflict, ...] = get_args(OnConflict)

_encode = json.Encoder().encode
_decode = json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Unique:
    """At most one live job of a task: one for each set of arguments, or one at all.

    `by` is `"args"` (equal arguments, defaults included, however the call was written) or `"task"`.
    `on_conflict` says what enqueuing another does: `"return_existing"` gives the live job's handle,
    `"raise"` raises DuplicateJob, `"replace"` gives the live job the new arguments and times, or
    raises DuplicateJob if it runs. Raises InvalidOption.
    """

    by: By = "args"
    on_conflict: OnConflict = "return_existing"

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise InvalidOption("by", self.by, owner="Unique", expected='"args" or "task"')
        check_on_conflict("Unique", self.on_conflict)


def check_on_conflict(owner: str, value: object) -> OnConflict:
    """Return what was given as `on_conflict=`; raises InvalidOption."""
    for known in ON_CONFLICT:
        if value == known:
            return known
    expected = " or ".join(f'"{known}"' for known in ON_CONFLICT)
    raise InvalidOption("on_conflict", value, owner=owner, expected=expected)


def check_key(owner: str, option: str, value: object) -> str:
    """Return a key of the user's; raises InvalidOption."""
    if is_name(value):
        return value
    raise InvalidOption(option, value, owner=owner, expected=EXPECTED)


def key_of_users(task: str, key: str) -> str:
    """Return the key for one that the user chose."""
    return _encode([task, "key", key]).decode()


def key_of_task(task: str) -> str:
    """Return the key that all jobs of a task share."""
    return _encode([task, "task"]).decode()


def key_of_arguments(task: str, text: bytes) -> str:
    """Return the key for the arguments of which `text` is the canonical form."""
    from hashlib import blake2b  # noqa: PLC0415  # a lazy door: few tasks are unique

    return _encode([task, "args", blake2b(text, digest_size=16).hexdigest()]).decode()


def words_of(key: str) -> str:
    """Return a key as its user would say it; one that none of the above made, as it is."""
    try:
        told = _decode(key)
    except (DecodeError, ValidationError):
        return key
    if told[1:2] == ["key"]:
        return f"{told[0]}: {told[-1]}"
    return f"{told[0]} by {told[1]}" if len(told) > 1 else key
