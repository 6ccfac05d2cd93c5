"""Rows of text below their heads, and words for spans of time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86_400
WIDEST = 60
"""Letters shown of one cell."""


def lines_of(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()
) -> list[str]:
    """Return a table's lines; the columns named in `numbers` stand to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    return [_line(row, widths, heads, numbers) for row in (heads, *cells)]


def _line(
    cells: Sequence[str], widths: Sequence[int], heads: Sequence[str], numbers: Collection[str]
) -> str:
    padded = [
        cell.rjust(width) if head in numbers else cell.ljust(width)
        for cell, width, head in zip(cells, widths, heads, strict=True)
    ]
    return "  ".join(padded).rstrip()


def plain(text: str) -> str:
    """Return text that can't move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def short(text: str, widest: int = WIDEST) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= widest else f"{text[: widest - 3]}..."


def distance(moment: datetime | None, now: datetime) -> str:
    """Return how far away a moment is; nothing for None."""
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    return f"{span(-seconds)} ago" if seconds < 0 else f"in {span(seconds)}"


def span(seconds: float) -> str:
    """Return a time in the largest unit that suits it."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"
