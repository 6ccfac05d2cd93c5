"""Stored arguments and results as the JSON that they are: never decoded to objects.

Looking at a job must not make an object of what is in it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json


def stored_call(payload: bytes) -> tuple[Any, Any]:
    """Return arguments as the JSON that is stored; of another codec's text, the text itself."""
    stored = stored_json(payload)
    if isinstance(stored, str):
        return stored, None
    try:
        args, kwargs = json.decode(stored, type=tuple[Raw, Raw])
    except ValueError:
        return stored, None
    return args, kwargs


def stored_json(text: bytes) -> Raw | str:
    """Return JSON as it is stored; a text of what is none, which somebody else has written."""
    try:
        json.decode(text)
    except (ValueError, RecursionError):
        return text.decode("utf-8", "backslashreplace")
    return Raw(text)
