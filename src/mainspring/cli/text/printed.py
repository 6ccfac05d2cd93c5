"""Output of operators' commands: a table for people, or JSON for programs."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.cli.text.table import lines_of
from mainspring.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

DONE = 0
NOT_DONE = 1
"""The exit code when what was asked for is not there, or was refused by its state."""

LARGEST_OF_ONE = 0xFFFF
"""Letters beyond are two of JSON's."""


def print_json(value: Any) -> None:
    """Print a value as one JSON text with a line for each part, in ASCII only."""
    try:
        encoded = json.encode(value)
    except UnicodeEncodeError:  # a word of the command line that is no text, said as it came
        encoded = json.encode(_storable(value))
    text = json.format(encoded, indent=2).decode()
    sys.stdout.write("".join(text if text.isascii() else map(_in_ascii, text)) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; what can't be shown of one is escaped."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    dispensable: Sequence[str] = (),
) -> None:
    """Print rows below their heads, not wider than the terminal.

    Columns named in `dispensable` are shortened, then left out for that, the first ones first.
    """
    print_lines(lines_of(heads, rows, numbers=numbers, dispensable=dispensable, width=width()))


def width() -> int | None:
    """Return the columns of the terminal; None where output goes elsewhere."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return None
    return shutil.get_terminal_size().columns


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _in_ascii(letter: str) -> str:
    if letter.isascii():
        return letter
    if ord(letter) <= LARGEST_OF_ONE:
        return f"\\u{ord(letter):04x}"
    pair = letter.encode("utf-16-be").hex()
    return f"\\u{pair[:4]}\\u{pair[4:]}"
