"""Notices event loops that are blocked, and says by what.

Most loops wait for something most of the time. Ours say since when they do not, so that one look
is enough. Of another kind of loop a look at its thread shows it; only one that is found at work is
asked for a sign of life, since to ask means to wake it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.events import LoopStalled
from mainspring.supervision.loops.precise_loop import turn_of
from mainspring.supervision.run_in_thread import stack_of
from mainspring.supervision.triggers.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from mainspring.protocols import Subscriber
    from mainspring.supervision.loops.event_loop import EventLoopThread

log = logging.getLogger("mainspring.supervision")

LOOK = 0.9
"""Seconds between two looks: one finds the loop at work, the next reports that it still is."""

RARE_LOOK = 1.8
"""The same while all loops wait and say so: one that stops may be reported at the first look."""

NO_LOOK = 3600.0
"""The same while there is no loop: `wake` is called when one starts."""

STALLED_AFTER = 0.8
"""Seconds without an answer after which a loop counts as blocked."""

TURN = getattr(getattr(asyncio.BaseEventLoop, "_run_once", None), "__code__", None)
"""The code of one turn of asyncio's own loop; another kind of loop is asked every time."""


class LoopProbe:
    """The last beat asked of one loop, and its answer."""

    def __init__(self, loop: EventLoopThread) -> None:
        self.loop = loop
        self.latency = 0.0  # seconds that the last answer took; 0: it was found well
        self._asked: float | None = None
        self._reported = False

    def silence(self, now: float) -> float:
        """Return for how long the loop has not answered."""
        return 0.0 if self._asked is None else now - self._asked

    def ask(self, now: float) -> None:
        """Ask for a beat, unless one is awaited, and count its silence from `now`."""
        if self._asked is not None:
            return
        self._asked = now
        # A loop that ends meanwhile is none to watch.
        with suppress(RuntimeError):
            self.loop.loop.call_soon_threadsafe(self._answer)

    def rest(self) -> None:
        """Note that the loop was found well."""
        if self._asked is None:
            self.latency = 0.0

    def first_report(self) -> bool:
        """Return whether this silence has not been reported."""
        first, self._reported = not self._reported, True
        return first

    def _answer(self) -> None:
        if self._asked is not None:
            self.latency = monotonic() - self._asked
        if self._reported:
            log.warning("event loop %r goes on after %.1f s", self.loop.name, self.latency)
        self._asked, self._reported = None, False


class Watchdog:
    """Looks whether each loop waits or answers, and reports one that does neither, once."""

    def __init__(
        self, loops: Callable[[], Iterable[EventLoopThread]], *, publish: Subscriber
    ) -> None:
        self._loops = loops
        self._publish = publish
        self._probes: dict[EventLoopThread, LoopProbe] = {}
        self.trigger = Interval(delay=LOOK)

    def latencies(self) -> dict[str, float]:
        """Return by loop how many seconds its last answer took, or has not come for."""
        now, probes = monotonic(), self._probes
        loops = [loop for loop in self._loops() if loop.active]
        return {loop.name: _latency(probes.get(loop), loop, now) for loop in loops}

    def wake(self) -> None:
        """Look now: a loop has started or ended. From any thread."""
        self.trigger.wake()

    async def look(self) -> None:
        """Look at each loop once."""
        now = monotonic()
        self._probes = {
            loop: self._probes.get(loop) or LoopProbe(loop) for loop in self._loops() if loop.active
        }
        turns = [(probe, turn_of(probe.loop.current_loop)) for probe in self._probes.values()]
        self.trigger.delay = _rest_after([turn for _, turn in turns])
        for probe, turn in turns:
            if turn is None:
                self._look_at_thread(probe, now)
            elif turn <= STALLED_AFTER:
                probe.rest()
            elif probe.first_report():
                # Its answer tells that it goes on.
                probe.ask(now - turn)
                self._report(probe, now)

    def _look_at_thread(self, probe: LoopProbe, now: float) -> None:
        if waits(probe.loop, sys._current_frames()):  # noqa: SLF001  the documented name
            probe.rest()
            return
        if probe.silence(now) > STALLED_AFTER and probe.first_report():
            self._report(probe, now)
        probe.ask(now)

    def _report(self, probe: LoopProbe, now: float) -> None:
        thread = probe.loop.thread
        stack = "" if thread is None else stack_of(thread)
        seconds = probe.silence(now)
        log.error("event loop %r is blocked for %.1f s by:\n%s", probe.loop.name, seconds, stack)
        self._publish(LoopStalled(probe.loop.name, seconds, stack))


def _latency(probe: LoopProbe | None, loop: EventLoopThread, now: float) -> float:
    at_work = turn_of(loop.current_loop) or 0.0
    return at_work if probe is None else max(probe.latency, probe.silence(now), at_work)


def _rest_after(turns: list[float | None]) -> float:
    """Return the seconds until the next look, by how the loops were found."""
    if not turns:
        return NO_LOOK
    return LOOK if any(turn != 0 for turn in turns) else RARE_LOOK


def waits(loop: EventLoopThread, frames: Mapping[int, FrameType]) -> bool:
    """Return whether a loop's thread is where asyncio waits for something to happen."""
    ident = None if loop.thread is None else loop.thread.ident
    frame = None if ident is None else frames.get(ident)
    if frame is None or frame.f_code.co_name != "select":
        return False
    # Up from the selector, of which one may be built on another.
    while frame is not None and frame.f_code.co_name == "select":
        frame = frame.f_back
    return frame is not None and frame.f_code is TURN
