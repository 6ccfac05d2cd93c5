"""Stops a supervisor on SIGTERM and SIGINT while the main thread waits for it."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.supervision.sleeper import ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("mainspring.supervision")

SIGNALS = (signal.SIGTERM, signal.SIGINT)

LOOK = 0.2
"""Seconds between two looks whether it still runs."""


class Blockade:
    """Holds up a thread until a signal comes or somebody lifts it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._sleeper = ThreadSleeper()
        self._signal: int | None = None

    def lift(self) -> None:
        """Let the thread go on; from any thread."""
        self._sleeper.wake()

    def hold(self, while_true: Callable[[], bool]) -> None:
        """Wait while the condition holds and no signal has come."""
        with self._listening():
            while self._signal is None and while_true():
                self._sleeper.sleep(LOOK)
        if self._signal is not None:
            log.info("supervisor %r stops: signal %s", self._owner, self._signal)

    def _note(self, number: int, _frame: object) -> None:
        self._signal = number
        self._sleeper.wake()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Catch the signals; a second one, while all is being stopped, finds the old handlers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self._note) for one in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
