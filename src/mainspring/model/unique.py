"""Unique keys: what makes two jobs of one task the same, as a text that stores compare.

Each key begins with the task's name, so that two tasks never meet in one. It is a JSON text: no
name and no key of the user's, whatever characters it holds, reads like another.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import DecodeError, ValidationError, json

from mainspring.model.job import OnConflict
from mainspring.model.options import check_fields, one_of
from mainspring.model.value import Value

By = Literal["args", "task"]
ON_CONFLICT = one_of(*get_args(OnConflict))
_CHECKS = {"by": one_of(*get_args(By)), "on_conflict": ON_CONFLICT}

_encode = json.Encoder().encode
_decode = json.Decoder(list[str]).decode


class Unique(Value, frozen=True):
    """At most one live job of a task: one for each set of arguments, or one at all.

    `by` is `"args"` (equal arguments, defaults included, however the call was written) or `"task"`.
    `on_conflict` says what enqueuing another does: `"return_existing"` gives the live job's handle,
    `"raise"` raises DuplicateJob, `"replace"` gives the live job the new arguments and times, or
    raises DuplicateJob if it runs. Raises InvalidOption.
    """

    by: By = "args"
    on_conflict: OnConflict = "return_existing"

    def __post_init__(self) -> None:
        check_fields("Unique", _CHECKS, self)


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


def rule_of_key(key: str) -> Unique | str | None:
    """Return the rule, or the user's key, that a key was made of; None if none of ours made it."""
    try:
        parts = _decode(key)
    except (DecodeError, ValidationError):
        return None
    match parts[1:]:
        case ["key", own]:
            return own
        case ["task"]:
            return Unique(by="task")
        case ["args", _]:
            return Unique(by="args")
    return None


def words_of(key: str) -> str:
    """Return a key as its user would say it; one that none of the above made, as it is."""
    try:
        parts = _decode(key)
    except (DecodeError, ValidationError):
        return key
    if parts[1:2] == ["key"]:
        return f"{parts[0]}: {parts[-1]}"
    return f"{parts[0]} by {parts[1]}" if len(parts) > 1 else key
