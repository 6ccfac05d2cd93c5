"""Arguments of a job, written as JSON on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, json

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    import argparse


def arguments_in(options: argparse.Namespace) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what `--args` and `--kwargs` say. Raises `InvalidOption`."""
    args = _read("--args", options.args or "[]", list)
    kwargs = _read("--kwargs", options.kwargs or "{}", dict)
    return tuple(args), kwargs


def _read(option: str, text: str, kind: type[Any]) -> Any:
    example = "'[1, \"two\"]'" if kind is list else "'{\"name\": 1}'"
    try:
        value = json.decode(text)
    except DecodeError:
        value = None
    if not isinstance(value, kind):
        expected = f"a JSON {'array' if kind is list else 'object'}, as in {example}"
        raise InvalidOption(option, text, owner="the command", expected=expected)
    return value
