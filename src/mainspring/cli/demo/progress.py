"""Progress of the demo, as a line of text."""

from __future__ import annotations

import time

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
