"""`mainspring supervise`: run the workers of a module as a daemon."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from mainspring.app_address import Address
from mainspring.background.supervisor.front import TaskSupervisor, task_supervisor
from mainspring.background.supervisor.signals import SignalWait
from mainspring.cli.daemon.notify import ReadinessAnnouncer, ServiceManager
from mainspring.cli.daemon.table import table_of
from mainspring.cli.daemon.view import new_view
from mainspring.cli.daemon.workers import SupervisedWorkers
from mainspring.cli.worker.log_format import Printer, add_log_options
from mainspring.cli.worker.stop import ExitGuard
from mainspring.clock import monotonic
from mainspring.supervision.restart import Restart
from mainspring.supervision.terminal import Terminal
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

log = logging.getLogger("mainspring")

LOOK = 0.5
"""Seconds between two looks at the workers."""

SETTLED_WITHIN = 1.0
"""Seconds that `--once` gives the workers to come up."""

HUNG = "the workers did not stop in time; ending the process"

EXAMPLE = "myapp.workers:supervisor"

NOBODY = "%s has no worker of %s: give each supervisor=, and a name that does not begin with _"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "supervisor",
        metavar="MODULE[:SUPERVISOR]",
        help="the module whose workers are started, seen from this folder; and its TaskSupervisor, "
        "if they are of another than mainspring.task_supervisor",
    )
    parser.add_argument(
        "--once", action="store_true", help="start the workers, print their table once, and stop"
    )
    add_log_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the workers until asked to stop; 0 when they have."""
    address = Address(
        options.supervisor,
        TaskSupervisor,
        noun="supervisor",
        example=EXAMPLE,
        default=task_supervisor,
    )
    Terminal().guard_output()
    with ExitStack() as stack:
        view = new_view(stack, table_wanted=not options.once)
        Printer(options.log_format, options.log_level)
        supervisor = address.find()
        workers = SupervisedWorkers(supervisor, sys.modules[address.module])
        if workers.empty:
            log.warning(NOBODY, address.module, address.attribute or "task_supervisor")
        end = ExitGuard(log.error, HUNG)
        asked = partial(end.within, supervisor.grace)
        with SignalWait(supervisor.id, asked) as signal_wait, supervisor:
            try:
                workers.start()
                if options.once:
                    _print_once(workers)
                else:
                    _stay(supervisor, signal_wait, lambda: view.show(workers.look()))
            except KeyboardInterrupt:
                log.warning("interrupted: stopping at once")
                end.within(0.0)
                supervisor.stop(wait=0, cancel_tasks=True)
    return 0


def _stay(supervisor: TaskSupervisor, signal_wait: SignalWait, show: Callable[[], None]) -> None:
    """Run until asked to stop; show the workers and tell the service manager on the way."""
    view = Worker("view", show, Interval(LOOK), restart=Restart(max_failures=0))
    jobs = supervisor.running_pools.jobs
    jobs.launch(view)
    jobs.launch(ReadinessAnnouncer(ServiceManager(), lambda: _works(supervisor)))
    signal_wait.hold(lambda: supervisor.active)
    supervisor.stop()
    with suppress(OSError):
        show()


def _works(supervisor: TaskSupervisor) -> bool:
    """Return whether to start the program again would help nobody.

    A worker that gave up has a policy that says so; the others must not end with it.
    """
    health = supervisor.health()
    ill = ("stalled_loops", "hanging_workers", "stopped_task_pools")
    return bool(health["active"]) and not any(health[one] for one in ill)


def _print_once(workers: SupervisedWorkers) -> None:
    deadline = monotonic() + SETTLED_WITHIN
    while any(one["state"] == "waiting" for one in workers.look()) and monotonic() < deadline:
        time.sleep(0.01)
    sys.stdout.write("".join(f"{line}\n" for line in table_of(workers.look(), datetime.now(UTC))))
    sys.stdout.flush()
