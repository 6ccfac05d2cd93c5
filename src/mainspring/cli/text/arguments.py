"""Arguments of a job, written as JSON on a command line, and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, json

from mainspring.clock import moment_of
from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    import argparse
    from datetime import datetime


def arguments_in(options: argparse.Namespace) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what `--args` and `--kwargs` say. Raises `InvalidOption`."""
    args = json_in("--args", options.args or "[]", list)
    kwargs = json_in("--kwargs", options.kwargs or "{}", dict)
    return tuple(args), kwargs


def moment_in(option: str, text: str) -> datetime:
    """Return the moment of an ISO 8601 text, local if without offset. Raises `InvalidOption`."""
    try:
        return moment_of(text).astimezone()
    except ValueError:
        expected = "a time such as 2030-01-31T08:00, or with its offset 2030-01-31T08:00+01:00"
        raise InvalidOption(option, text, owner="the command", expected=expected) from None


def json_in(option: str, text: str, kind: type[Any]) -> Any:
    """Return the list or dict that a JSON text says. Raises `InvalidOption`."""
    example = "'[1, \"two\"]'" if kind is list else "'{\"name\": 1}'"
    try:
        value = json.decode(text)
    except DecodeError:
        value = None
    if not isinstance(value, kind):
        expected = f"a JSON {'array' if kind is list else 'object'}, as in {example}"
        raise InvalidOption(option, text, owner="the command", expected=expected)
    return value
