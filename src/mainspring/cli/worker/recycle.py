"""A worker with too many abandoned threads drains and starts anew: nothing else can end them.

Same process id, arguments, environment and folder; who watches over the process sees no end of it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from mainspring.model.events import ConsumerUnhealthy, ShutdownAsked

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.events import Event


class Recycling:
    """Asks the worker to stop when it is unhealthy; then `due` says that it is to start anew.

    Not if somebody else has asked it to stop, before or meanwhile.
    """

    def __init__(self, shutdown: Callable[[], object], say: Callable[[str], None]) -> None:
        self._shutdown = shutdown
        self._say = say
        self._asked = False
        self._folder = os.getcwd()  # noqa: PTH109  # a text for chdir, no path to work with
        self.due = False

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, ShutdownAsked):
            self.due = self.due and event.times == 1
            self._asked = True
        elif isinstance(event, ConsumerUnhealthy) and not self._asked:
            self._say(f"{event.abandoned} abandoned threads still run; draining to start anew...")
            self.due = True
            self._shutdown()

    def start_anew(self) -> NoReturn:
        """Replace this process's program by a new run of itself."""
        os.chdir(self._folder)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # ourselves
