"""One life of a background worker, from a start to the stop that follows it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.background.aloop import running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from mainspring.background.carriage import Carriage
    from mainspring.protocols import Trigger
    from mainspring.supervision.group import Member
    from mainspring.supervision.worker import Worker, WorkerStatus

OVERRIDES = ("_name", "_priority", "_loop", "_interval", "_delay", "_delay_before")
"""What `start` takes for one life in the place of what the worker was made with."""


@dataclass(frozen=True, slots=True)
class StartArguments:
    """What `start` was given: for the target, and for this life of the worker."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    overrides: Mapping[str, Any]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StartArguments:
        """Tell the target's arguments from the overrides."""
        mine = {name[1:]: kwargs[name] for name in OVERRIDES if name in kwargs}
        theirs = {name: value for name, value in kwargs.items() if name not in OVERRIDES}
        return cls(args, theirs, mine)


class Session:
    """A core worker with its trigger, and where it runs."""

    def __init__(self, core: Worker, trigger: Trigger, carriage: Carriage) -> None:
        self.core = core
        self.trigger = trigger
        self.member: Member | None = None
        self.finished: Future[None] = Future()
        # As one that runs it can't be cancelled by somebody who no longer waits for it.
        self.finished.set_running_or_notify_cancel()
        self.asked = False
        self.over = False  # ended, but for the hooks that follow
        self._carriage = carriage
        # Reentrant, since a signal handler may stop it while its own thread is in here.
        self._lock = threading.RLock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that an async target is awaited on."""
        return self._carriage.loop

    @property
    def active(self) -> bool:
        """Whether it goes on running its target."""
        return not self.asked and not self.over and not self.core.ending

    def first_to_ask(self) -> bool:
        """Whether nobody has asked it to end before; asking once is enough."""
        with self._lock:
            first, self.asked = not self.asked, True
        return first

    def finish(self) -> None:
        """Tell those who wait that it has ended."""
        self.finished.set_result(None)

    def would_wait_for_itself(self, control: asyncio.AbstractEventLoop | None) -> bool:
        """Whether to wait here for its end would keep that from happening."""
        here = running_loop()
        if here is not None and here in (self._carriage.loop, control):
            return True
        return self.runs_here()

    def is_stranded(self) -> bool:
        """Whether it is on a loop of the user's own that does not run, so that it can't end."""
        loop = self._carriage.loop
        return self._carriage.foreign and loop is not None and not loop.is_running()

    def runs_here(self) -> bool:
        """Whether its sync target is what the calling thread runs."""
        return self.core.runner == threading.get_ident()

    def still_runs(self) -> bool:
        """Whether a run was left behind, stuck in the target, when this life ended."""
        left = self.core.runner
        return left is not None and any(one.ident == left for one in threading.enumerate())

    def status(self) -> WorkerStatus:
        """Return what the core worker is and has done."""
        return self.core.status()
