"""Output of the demo: one line of progress redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

CLEAR_LINE = "\r\x1b[K"
BOLD = "\x1b[1m"
GREEN = "\x1b[32m"
RED = "\x1b[31m"
_PLAIN = "\x1b[0m"

BAR_WIDTH = 30
LANDMARKS = 10


class Progress:
    """Progress of a step: `done` of `total`, its rate, and the time that is left."""

    def __init__(self, title: str, total: int) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self._began = time.monotonic()
        self._ended: float | None = None

    def reach(self, done: int) -> None:
        """Note how many are done."""
        self.done = done
        if self.over and self._ended is None:
            self._ended = time.monotonic()

    @property
    def half_way(self) -> bool:
        """True if half is done."""
        return 2 * self.done >= self.total

    @property
    def over(self) -> bool:
        """True if all is done."""
        return self.done >= self.total

    @property
    def seconds(self) -> float:
        """Seconds that it took, or has taken so far."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def landmark(self) -> int:
        """Tenths that are done."""
        return LANDMARKS * self.done // self.total

    def __str__(self) -> str:
        filled = BAR_WIDTH * self.done // self.total
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        return f"{self.title:8} [{bar}] {self.done}/{self.total} files{self._pace()}"

    def _pace(self) -> str:
        if not self.done:
            return ""
        rate = self.done / max(self.seconds, 1e-6)
        if self.over:
            return f", {rate:,.0f}/s, took {self.seconds:.1f} s"
        return f", {rate:,.0f}/s, ETA {(self.total - self.done) / rate:.1f} s"


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
        progress_shown = (progress.title, progress.landmark)
        if self._redraws and not progress.over:
            columns = shutil.get_terminal_size().columns
            self._write(CLEAR_LINE + str(progress)[: columns - 1])
        elif progress_shown != self._shown:
            self.say(str(progress))
        self._shown = progress_shown

    def _write(self, text: str) -> None:
        with self._lock:
            self._out.write(text)
            self._out.flush()
