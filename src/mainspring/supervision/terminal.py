"""The terminal that a process was started on, which may be closed before the process has ended.

To write to it fails then, and a job that prints would fail of it.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

STANDARD_STREAMS = (0, 1, 2)


class Terminal:
    """The standard streams that lead to a terminal when this is made."""

    def __init__(self) -> None:
        streams = [number for number in STANDARD_STREAMS if os.isatty(number)]
        self._descriptors = {number: _device_of(number) for number in streams}

    def drop_if_closed(self) -> None:
        """Connect the streams whose terminal was closed to the null device.

        But not those behind which the program has put a file of its own since.
        """
        closed = [
            number
            for number, device in self._descriptors.items()
            if _device_of(number) == device and not os.isatty(number)
        ]
        if not closed:
            return
        try:
            null = os.open(os.devnull, os.O_RDWR)
        except OSError:  # no descriptor is free: who handles a signal must go on
            return
        for number in closed:
            os.dup2(null, number)
        os.close(null)
        self._descriptors = {}

    def guard_output(self) -> None:
        """Have `sys.stdout` and `sys.stderr` drop the terminal when a write to it fails."""
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if number in self._descriptors and isinstance(stream, io.TextIOWrapper):
                output = io.TextIOWrapper(
                    io.BufferedWriter(_Output(number, self)),
                    encoding=stream.encoding,
                    errors=stream.errors,
                    line_buffering=stream.line_buffering,
                    write_through=stream.write_through,
                )
                setattr(sys, name, output)


def _device_of(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_rdev
    except OSError:  # it is closed
        return None


class _Output(io.FileIO):
    def __init__(self, descriptor: int, terminal: Terminal) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._terminal = terminal

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            self._terminal.drop_if_closed()
            return super().write(data)
