"""The workers of a supervisor as a table of text. Pure; `now` is given."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HEADS = (
    "WORKER",
    "KIND",
    "STATE",
    "RUNS",
    "ERRORS",
    "QUEUED",
    "LAST RUN",
    "NEXT RUN",
    "LAST ERROR",
)
NUMBERS = frozenset({"RUNS", "ERRORS", "QUEUED"})

MINUTE, HOUR, DAY = 60, 3600, 86_400


def table_of(workers: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Return the lines of a table of what `get_info()["workers"]` holds."""
    rows = [_row(worker, now) for worker in workers]
    widths = [max(map(len, column)) for column in zip(HEADS, *rows, strict=True)]
    return [_line(row, widths) for row in (HEADS, *rows)]


def _row(worker: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    return (
        _plain(worker["name"]),
        _plain(worker["kind"]),
        f"{worker['state']}, failing" if worker["failing"] else worker["state"],
        str(worker["runs"]),
        str(worker["errors"]),
        "" if worker["queued"] is None else str(worker["queued"]),
        _distance(worker["last_run"], now),
        _distance(worker["next_run"], now),
        _plain(worker["error"] or ""),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if head in NUMBERS else cell.ljust(width)
        for cell, width, head in zip(cells, widths, HEADS, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _plain(text: str) -> str:
    """Return text that can't move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _distance(moment: str | None, now: datetime) -> str:
    if moment is None:
        return ""
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    return f"{_span(-seconds)} ago" if seconds < 0 else f"in {_span(seconds)}"


def _span(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"
