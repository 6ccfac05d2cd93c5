"""`mainspring worker` with `--processes` or `--reload`: workers in processes below this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import load_app
from mainspring.cli.processes.source_watch import SourceWatch
from mainspring.cli.processes.worker_processes import BEYOND_GRACE, WorkerProcessGroup
from mainspring.cli.worker.log_format import Printer
from mainspring.cli.worker.metrics_options import check_metrics_address, metrics_options
from mainspring.cli.worker.stop import ExitGuard
from mainspring.model.options import count
from mainspring.processes.child import python_command
from mainspring.supervision.stop_signals import StopSignals
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    import argparse

LOOK_SECONDS = 0.5
"""Between two looks at the files."""

NAP_SECONDS = 0.5
"""Longest sleep of the main thread, after which a signal's handler runs."""

UNKNOWN_GRACE = 86_400.0
"""Seconds that a worker gets whose queue is not loaded here: it ends by the grace of that, and
need not be killed before."""

MOST_PROCESSES = 1_000
_PROCESSES = count(least=1, most=MOST_PROCESSES)

HUNG = "The worker processes did not end in time; ending this one."


def run_processes(options: argparse.Namespace) -> int:
    """Run the processes until asked to stop; 0 when they have."""
    _PROCESSES("worker", "--processes", options.processes)
    check_metrics_address(options)
    printer = Printer(options.log_format, options.log_level)
    grace = _grace(options)
    watch = SourceWatch(Path.cwd(), lambda path: _reload(group, printer, path))
    watcher = Worker("reload", watch.look, Interval(LOOK_SECONDS))
    also = [watcher] if options.reload else []
    commands = [
        [*command_of(options), *metrics_options(options, number)]
        for number in range(1, options.processes + 1)
    ]
    group = WorkerProcessGroup(commands, grace=grace, say=printer.say, also=also)
    end = ExitGuard(printer.say, HUNG)

    def stop() -> None:
        group.stop()
        end.within(grace + BEYOND_GRACE)

    def stop_now() -> None:
        group.stop_now()
        end.within(BEYOND_GRACE)

    with StopSignals(stop, stop_now):
        group.start()
        while not group.wait(NAP_SECONDS):
            pass
    return 0


def command_of(options: argparse.Namespace) -> list[str]:
    """Return the command of one worker process."""
    command = [*python_command(), "-m", "mainspring", "worker", "--app", options.app]
    given = {
        "--queues": options.queues,
        "--concurrency": options.concurrency,
        "--async-slots": options.async_slots,
        "--grace": options.grace,
        "--log-format": options.log_format,
        "--log-level": options.log_level,
    }
    for option, value in given.items():
        if value is not None:
            command += [option, str(value)]
    for name in options.imports:
        command += ["--import", name]
    if options.log_jobs:
        command.append("--log-jobs")
    return [*command, "--verbose"] if options.verbose else command


def _grace(options: argparse.Namespace) -> float:
    # Loaded here for its grace, and, where that is given, so that a wrong --app is named once. Not
    # with --reload: there it may be broken now and mended with the next change.
    own = UNKNOWN_GRACE if options.reload else _loaded_grace(options)
    return own if options.grace is None else float(options.grace)


def _loaded_grace(options: argparse.Namespace) -> float:
    return load_app(options.app, options.imports).settings.grace


def _reload(group: WorkerProcessGroup, printer: Printer, path: str) -> None:
    printer.say(f"{Path(path).name} changed: starting anew...")
    group.replace()
