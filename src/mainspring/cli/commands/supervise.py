"""`mainspring supervise`: run the workers of a module as a daemon."""

from __future__ import annotations

import logging
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mainspring.background.supervisor.front import TaskSupervisor
from mainspring.cli.daemon.crew import Crew
from mainspring.cli.daemon.notify import Herald, Notifier
from mainspring.cli.daemon.table import table_of
from mainspring.cli.daemon.view import new_view
from mainspring.cli.target.address import Address
from mainspring.supervision.restart import Restart
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    import argparse

    from mainspring.cli.daemon.view import View

log = logging.getLogger("mainspring")

LOOK = 0.5
"""Seconds between two looks at the workers."""

SETTLED_WITHIN = 1.0
"""Seconds that `--once` gives the workers to come up."""

EXAMPLE = "myapp.workers:task_supervisor"

NOBODY = "%s has no worker of %s: give each supervisor=, and a name that does not begin with _"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "supervisor",
        metavar="MODULE:SUPERVISOR",
        help="where the TaskSupervisor is, seen from this folder; the module's workers are started",
    )
    parser.add_argument(
        "--once", action="store_true", help="start the workers, print their table once, and stop"
    )


def run(options: argparse.Namespace) -> int:
    """Run the workers until SIGINT or SIGTERM; 0 when they stopped as asked."""
    address = Address(options.supervisor, TaskSupervisor, noun="supervisor", example=EXAMPLE)
    with ExitStack() as stack:
        view = new_view(stack, table_wanted=not options.once)
        logging.basicConfig(level=logging.INFO, format="[mainspring] %(levelname)s %(message)s")
        supervisor = address.find()
        crew = Crew(supervisor, sys.modules[address.module])
        if crew.empty:
            log.warning(NOBODY, *address.text.split(":"))
        _heed_signals()
        with supervisor:
            try:
                crew.start()
                _print_once(crew) if options.once else _stay(supervisor, crew, view)
            except KeyboardInterrupt:
                log.warning("interrupted: stopping at once")
                supervisor.stop(wait=0, cancel_tasks=True)
    return 0


def _heed_signals() -> None:
    """Let SIGTERM and the end of the terminal stop the workers in order, as SIGINT does."""
    # For one that comes before `block` heeds it, or again while all is being stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)
    # `nohup` has it ignored.
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))


def _stay(supervisor: TaskSupervisor, crew: Crew, view: View) -> None:
    """Run until asked to stop; show the workers and tell the service manager on the way."""
    show = Worker(
        "view", lambda: view.show(crew.look()), Interval(LOOK), restart=Restart(max_failures=0)
    )
    supervisor.life.jobs.add(show)
    supervisor.life.jobs.add(Herald(Notifier(), lambda: bool(supervisor.health()["healthy"])))
    supervisor.block()
    with suppress(OSError):
        view.show(crew.look())


def _print_once(crew: Crew) -> None:
    deadline = time.monotonic() + SETTLED_WITHIN
    while any(one["state"] == "waiting" for one in crew.look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    sys.stdout.write("".join(f"{line}\n" for line in table_of(crew.look(), datetime.now(UTC))))
    sys.stdout.flush()
