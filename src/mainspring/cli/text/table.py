"""Rows of text below their heads. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

from mainspring.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

WIDEST = 60
"""Letters shown of one cell."""

NARROWEST = 12
"""Letters to which a column is shortened before it is left out."""

GAP = "  "
DOTS = "..."

Column = list[str]
"""A head and the cells below it."""


def lines_of(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    dispensable: Sequence[str] = (),
    width: int | None = None,
) -> list[str]:
    """Return a table's lines; the columns named in `numbers` stand to the right.

    Above `width` letters, columns named in `dispensable` are shortened, then left out, the first
    ones first; all others stay as they are.
    """
    columns = [[head, *cells] for head, *cells in zip(heads, *map(_cleaned, rows), strict=True)]
    if width is not None:
        columns = fitting(columns, dispensable, width)
    return [
        GAP.join(line).rstrip()
        for line in zip(*(_padded(one, numbers) for one in columns), strict=True)
    ]


def fitting(columns: list[Column], dispensable: Sequence[str], width: int) -> list[Column]:
    """Return the columns shortened, and fewer of them, as far as it takes and can be done."""
    for head in dispensable:
        if (too_wide := _width(columns) - width) > 0:
            columns = [_shortened(one, too_wide) if one[0] == head else one for one in columns]
    for head in dispensable:
        if _width(columns) > width:
            columns = [one for one in columns if one[0] != head]
    return columns


def letters(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(combining(letter) > 0 for letter in text)


def _cleaned(row: Sequence[str]) -> list[str]:
    return [printable(cell) for cell in row]


def _width(columns: Sequence[Column]) -> int:
    return sum(max(map(letters, one)) for one in columns) + len(GAP) * (len(columns) - 1)


def _shortened(column: Column, letters_less: int) -> Column:
    widest = max(map(letters, column))
    allowed = max(widest - letters_less, min(widest, NARROWEST), len(column[0]))
    return [column[0], *(_cut(cell, allowed) for cell in column[1:])]


def _cut(text: str, columns: int) -> str:
    """Return the beginning of a text that takes more columns of the terminal."""
    if text.isascii() or letters(text) <= columns:
        return short(text, columns)
    kept = itertools.takewhile(
        lambda end: letters(text[:end]) <= columns - len(DOTS), range(1, len(text))
    )
    return text[: max(kept, default=0)] + DOTS


def _padded(column: Column, numbers: Collection[str]) -> list[str]:
    widest = max(map(letters, column))
    pads = [" " * (widest - letters(cell)) for cell in column]
    if column[0] in numbers:
        return [pad + cell for pad, cell in zip(pads, column, strict=True)]
    return [cell + pad for pad, cell in zip(pads, column, strict=True)]


def short(text: str, widest: int = WIDEST) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= widest else text[: widest - len(DOTS)] + DOTS
