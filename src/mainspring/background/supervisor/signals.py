"""Stops a supervisor on a signal while the main thread waits for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from mainspring.supervision.sleeper import ThreadSleeper
from mainspring.supervision.stop_signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mainspring.supervision")

LOOK = 0.2
"""Seconds between two looks whether it still runs."""


class SignalWait:
    """Holds up a thread until a signal asks to stop or it is released.

    Signals are taken as long as its `with` block runs, so that the stop can be in it. A second
    request raises KeyboardInterrupt there.
    """

    def __init__(self, owner: str, asked: Callable[[], object] = lambda: None) -> None:
        self._owner = owner
        self._on_request = asked
        self._sleeper = ThreadSleeper()
        self._asked = False
        self._signals = StopSignals(self._stop, _interrupt)

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._signals.__exit__(*exc)

    def release(self) -> None:
        """Let the thread go on; from any thread."""
        self._sleeper.wake()

    def hold(self, while_true: Callable[[], bool]) -> None:
        """Wait while the condition holds and no signal has come."""
        while not self._asked and while_true():
            self._sleeper.sleep(LOOK)
        if self._asked:
            log.info("supervisor %r stops: a signal asked for it", self._owner)

    def _stop(self) -> None:
        if not self._asked:
            self._asked = True
            self._on_request()
        self._sleeper.wake()


def _interrupt() -> None:
    raise KeyboardInterrupt
