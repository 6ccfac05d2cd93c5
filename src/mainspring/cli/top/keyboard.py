"""The keys of a terminal: one at a time, without echo, by their names."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = {
    b"\x1b": "escape",
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x7f": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\t": "tab",
}
MOST_BYTES = 1_024
LATER_SECONDS = 0.05
"""Seconds in which the rest of a key's sequence follows its first byte."""


class Keyboard:
    """Standard input as keys; ends, as `closed` says, when the terminal does."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._bytes = b""
        self.closed = False

    @contextmanager
    def watched(self) -> Iterator[Keyboard]:
        """Read key by key during the block."""
        before = termios.tcgetattr(self._fd)
        try:
            tty.setcbreak(self._fd)
            yield self
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def keys(self, also: int, timeout: float) -> list[str]:
        """Wait for keys, for bytes of the descriptor `also`, or so long; return the keys."""
        ready, _, _ = select.select([self._fd, also], [], [], timeout)
        if also in ready:
            os.read(also, MOST_BYTES)
        if self._fd in ready:
            self._read()
        return self._taken()

    def _read(self) -> None:
        try:
            new = os.read(self._fd, MOST_BYTES)
        except OSError:  # the terminal is gone
            new = b""
        self.closed = not new
        self._bytes += new
        # The rest of an arrow's three bytes comes soon, or it was the escape key.
        begun = self._bytes in (b"\x1b", b"\x1b[", b"\x1bO")
        if begun and select.select([self._fd], [], [], LATER_SECONDS)[0]:
            self._read()

    def _taken(self) -> list[str]:
        taken = []
        while self._bytes:
            long = self._bytes[:3]
            sequence = long if long in NAMES else self._bytes[:1]
            self._bytes = self._bytes[len(sequence) :]
            taken.append(NAMES.get(sequence, sequence.decode("ascii", "replace")))
        return taken
