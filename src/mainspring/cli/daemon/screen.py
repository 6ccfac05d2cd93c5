"""A terminal with a table at its foot: what is printed scrolls by above it.

It stands in for standard output, so that prints and log lines of any thread come out whole.
"""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
UP = "\x1b[{}F\x1b[J"

LEAST_LINES = 3
"""The table is never shorter than its head, a row and a line that says how many are left out."""


def redraws(out: TextIO) -> bool:
    """Return True if lines that were written can be written over."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class TableScreen(io.TextIOBase):
    """Writes lines above a table that is redrawn below them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.RLock()
        self._table: list[str] = []
        self._drawn = 0
        self._rest = ""

    def writable(self) -> bool:
        """Return True: it can be written to."""
        return True

    def isatty(self) -> bool:
        """Return True if it is a terminal."""
        return self._out.isatty()

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._out.fileno()

    def write(self, text: str, /) -> int:
        """Write what are whole lines; the rest waits for its end."""
        with self._lock:
            lines, end, self._rest = (self._rest + text).rpartition("\n")
            if end:
                self._put(lines + end)
        return len(text)

    def show(self, table: Sequence[str]) -> None:
        """Put this table in the place of the last one."""
        with self._lock:
            self._table = list(table)
            self._put("")

    def leave(self) -> None:
        """Leave the table as it stands, and write below it from now on."""
        with self._lock:
            self._table, self._drawn = [], 0
            if self._rest:
                self.write("\n")

    def _put(self, text: str) -> None:
        columns, lines = self._size()
        table = _fitting([line[:columns] for line in self._table], lines)
        erase = UP.format(self._drawn) if self._drawn else ""
        drawn = "".join(f"{line}\n" for line in table)
        self._out.write(f"{erase}{text}{NO_WRAP}{drawn}{WRAP}" if table else erase + text)
        self._out.flush()
        self._drawn = len(table)

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        # A terminal that does not know its size says 0.
        return size.columns or 80, size.lines or 24


def _fitting(table: Sequence[str], height: int) -> list[str]:
    room = max(height - 1, LEAST_LINES)
    if len(table) <= room:
        return list(table)
    return [*table[: room - 1], f"... and {len(table) - room + 1} more"]
