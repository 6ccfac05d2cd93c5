"""Output of the demo: one line of progress redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from mainspring.cli.demo.progress import Progress

CLEAR_LINE = "\r\x1b[K"
BOLD = "\x1b[1m"
GREEN = "\x1b[32m"
RED = "\x1b[31m"
_PLAIN = "\x1b[0m"


class DemoOutput:
    """Standard output, shared by the threads that have something to say."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._redraws = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colours = self._redraws and not os.environ.get("NO_COLOR")
        self._shown: tuple[str, int] | None = None
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="replace")  # a file's name may be in no encoding

    def say(self, line: str, *, style: str = "") -> None:
        """Write a line that stays."""
        if style and self._colours:
            line = f"{style}{line}{_PLAIN}"
        self._write(f"{CLEAR_LINE if self._redraws else ''}{line}\n")

    def show(self, progress: Progress) -> None:
        """Redraw the line of progress; without a terminal, write one for each tenth."""
        news = (progress.title, progress.landmark)
        if self._redraws and not progress.over:
            columns = shutil.get_terminal_size().columns
            self._write(CLEAR_LINE + str(progress)[: columns - 1])
        elif news != self._shown:
            self.say(str(progress))
        self._shown = news

    def _write(self, text: str) -> None:
        with self._lock:
            self._out.write(text)
            self._out.flush()
