"""Standard streams that take whatever is written: of any encoding, closed, or a pipe that ends."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Let standard output and error take every letter, and open streams that are closed.

    A file that is opened later must not get the number of a closed one: what is printed, by a child
    process too, would be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Opened again under its own name: there is no stream of a descriptor that was closed.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # it stays open
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Write to nowhere from now on: at its exit Python would flush once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # it stays open
