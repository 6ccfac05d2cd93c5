"""One run of the screen: keys in, orders out, and a new picture after either."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from mainspring.cli.top.keyboard import Keyboard
from mainspring.cli.top.navigator import QUIT, Navigator
from mainspring.cli.top.reader import StoreReader
from mainspring.cli.top.screen import screen

if TYPE_CHECKING:
    from mainspring.cli.top.navigator import Action
    from mainspring.queue import Queue

LONGEST_WAIT = 0.5
"""Seconds between two pictures: the terminal may have another size."""


class TopSession:
    """`interval`: seconds between two looks at the queue."""

    def __init__(self, queue: Queue, interval: float) -> None:
        self._reader = StoreReader(queue, interval)
        self._at = Navigator()
        self._keyboard = Keyboard()
        self._console = Console()

    def run(self) -> None:
        """Show the queue until the user ends it."""
        # A line of the log would tear the picture; what is wrong stands in its second line.
        logging.getLogger().addHandler(logging.NullHandler())
        live = Live(console=self._console, screen=True, auto_refresh=False)
        self._reader.start()
        try:
            with self._keyboard.watched(), live:
                while not self._turn(live):
                    pass
        finally:
            self._reader.close()

    def _turn(self, live: Live) -> bool:
        """Draw, wait and act; return whether it is the end."""
        self._draw(live)
        for key in self._keyboard.keys(self._reader.woken, LONGEST_WAIT):
            action = self._at.press(key, self._reader.now)
            if action is QUIT:
                return True
            if action is not None:
                self._carry_out(action)
        if self._reader.done:
            self._at.message, self._reader.done = self._reader.done, ""
        return self._keyboard.closed

    def _carry_out(self, action: Action) -> None:
        self._reader.job_id = self._at.job_id
        self._reader.order(action)

    def _draw(self, live: Live) -> None:
        width, height = self._console.size
        reader, at = self._reader, self._at
        at.width = width
        # What is looked into is not there before it was read.
        now = reader.now
        if now is not None and at.job_id is not None and reader.job_id != at.job_id:
            now = None
        live.update(screen(now, at, width, height, reader.trouble), refresh=True)
