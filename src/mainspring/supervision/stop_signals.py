"""Signals that ask a process to stop; it knows nothing of what is stopped.

One request can arrive as several signals: a terminal signals a whole process group, and a program
in between (a process manager, a script runner, a shell) signals its children again. Signals that
follow one another within `TOGETHER` seconds are therefore one request.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from mainspring.clock import monotonic
from mainspring.supervision.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals of terminals, service managers and people; all others are left alone."""

TOGETHER = 0.25
"""Seconds: longer than programs take to pass a signal on, shorter than a person who waits."""

SIGNALLED = 128
"""Added to a signal's number, it is the exit code of what the signal ended, as in a shell."""

_TAKEN_ALWAYS = frozenset({signal.SIGINT, signal.SIGTERM})
_last = -math.inf
_parent_decides = False


def leave_haste_to_parent() -> None:
    """Let no signal to this process end at once what runs: its parent says so in another way.

    A service manager may signal the parent and this process, and the parent this process again.
    """
    global _parent_decides  # noqa: PLW0603  # signals are the process's
    _parent_decides = True


class StopSignals:
    """While its block runs, the first request calls `stop`, a later one `stop_now`.

    The end of a terminal (SIGHUP) calls `stop`, and is never the second request. SIGHUP and SIGQUIT
    are left alone where the program has a handler of its own, or `nohup` has them ignored. Signals
    can only be taken in the main thread; in another the block runs without.
    """

    def __init__(self, stop: Callable[[], object], stop_now: Callable[[], object]) -> None:
        self._stop = stop
        self._stop_now = stop_now
        self._asked = False
        self._stopping = False
        self._before: dict[int, Any] = {}
        self._terminal = Terminal()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in filter(_is_free, STOP_SIGNALS):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._stopping:
            for handler in self._before.values():
                if isinstance(handler, Interruption):
                    handler.end(0)
        for number, handler in self._before.items():
            # None: it was set by no Python code, and none can set it back.
            if handler is not None:
                signal.signal(number, handler)

    def _take(self, number: int, _frame: object) -> None:
        self._stopping = True
        self._terminal.drop_if_closed()
        repeated = number != signal.SIGHUP and _follows_another()
        if number == signal.SIGHUP or not self._asked:
            self._asked = self._asked or number != signal.SIGHUP
            self._stop()
        elif not (repeated or _parent_decides):
            self._stop_now()


class Interruption:
    """The signals of a command where nothing else takes them: before its work, and after.

    SIGINT raises KeyboardInterrupt; a second one, or one after `end`, ends the process on the spot.
    The other signals end it as they do by default.
    """

    def __init__(self) -> None:
        self.came = False
        self._code: int | None = None

    def take_signals(self) -> None:
        """Handle the signals, for the rest of the process's life."""
        if threading.current_thread() is threading.main_thread():
            for number in filter(_is_free, STOP_SIGNALS):
                signal.signal(number, self)

    def end(self, code: int) -> None:
        """Note that all is done: from now on a signal ends the process with this exit code."""
        self._code = code

    def __call__(self, number: int, _frame: object) -> None:
        """Act on a signal."""
        repeated = _follows_another()
        if self._code is not None:
            if not repeated:
                os._exit(self._code)
        elif number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not self.came:
            self.came = True
            raise KeyboardInterrupt
        elif not repeated:
            os._exit(SIGNALLED + number)


def _is_free(number: int) -> bool:
    handler = signal.getsignal(number)
    if number in _TAKEN_ALWAYS:
        return True
    return handler == signal.SIG_DFL or isinstance(handler, Interruption)


def _follows_another() -> bool:
    """Return whether a request has just arrived, of which this signal is a part."""
    global _last  # signals are the process's
    before, _last = _last, monotonic()
    return _last - before < TOGETHER
