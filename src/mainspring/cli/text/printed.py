"""What operators' commands print: a table for people, or JSON for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.cli.text.table import lines_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

DONE = 0
NOT_DONE = 1
"""The exit code when what was asked for is not there, or was refused by its state."""


def print_json(value: Any) -> None:
    """Print a value as one JSON text with a line for each part."""
    sys.stdout.write(json.format(json.encode(value), indent=2).decode() + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()
) -> None:
    """Print rows below their heads."""
    print_lines(lines_of(heads, rows, numbers=numbers))
