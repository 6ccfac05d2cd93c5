"""The stack of a child's main thread, which the interpreter itself writes to a pipe at a signal.

That takes no lock and no bytecode: a body that holds the interpreter in C code is told of as well.
The signal is one that programs leave alone, and a child handles it from before its first request.
This is the parent's side; `program` has the other.
"""

from __future__ import annotations

import linecache
import os
import re
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.user_frames import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

DUMP_SIGNAL = int(getattr(signal, "SIGRTMAX", getattr(signal, "SIGINFO", 0)))
"""The number of the signal; 0 where the system has none that is free."""

ANSWER_SECONDS = 1.0
"""Seconds within which a child must begin to answer: one that is stopped does not."""

_QUIET_SECONDS = 0.05
"""Seconds without more of an answer after which it is whole."""

_GULP_BYTES = 1 << 16
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')


class StackPipe:
    """The parent's end of the pipe, and until the child is started the other one, `child_fd`."""

    def __init__(self) -> None:
        self._fd, self.child_fd = os.pipe()
        # A child must never wait for its parent in the midst of a body.
        for fd in (self._fd, self.child_fd):
            os.set_blocking(fd, False)

    def close_child_end(self) -> None:
        """Close the other end: the child has it."""
        fd, self.child_fd = self.child_fd, -1
        if fd != -1:
            os.close(fd)

    def close(self) -> None:
        """Close what is open."""
        self.close_child_end()
        fd, self._fd = self._fd, -1
        if fd != -1:
            os.close(fd)

    def ask(self, send: Callable[[int], object]) -> str | None:
        """Return the stack as text, outermost frame first; `send` sends the child a signal.

        None if it does not answer, or can't be asked.
        """
        if not DUMP_SIGNAL or self._fd == -1:
            return None
        self._read()  # what came too late before
        send(DUMP_SIGNAL)
        dump, patience = b"", ANSWER_SECONDS
        began = monotonic()
        while monotonic() - began < ANSWER_SECONDS and self._readable(patience):
            more = self._read()
            if not more:
                break
            dump, patience = dump + more, _QUIET_SECONDS
        return _readable_stack(dump.decode(errors="replace")) if dump else None

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(round(seconds * 1000)))

    def _read(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self._fd, _GULP_BYTES)
        return b""


def _readable_stack(dump: str) -> str:
    """Return the frames as a traceback has them, without those of ours that led to the body."""
    frames = [found for line in dump.splitlines() if (found := _FRAME.fullmatch(line))][::-1]
    users = (at for at, one in enumerate(frames) if not one["file"].startswith((OURS, "<")))
    lines = []
    for frame in frames[next(users, 0) :]:
        lines.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame["name"]}')
        if source := linecache.getline(frame["file"], int(frame["line"])).strip():
            lines.append(f"    {source}")
    return "\n".join(lines)
