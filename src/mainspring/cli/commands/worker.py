"""`mainspring worker`: run a queue's jobs, in this process or in several below it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import APP_HELP, add_import, load_app
from mainspring.cli.worker.banner import banner
from mainspring.cli.worker.log_format import Printer, add_log_options
from mainspring.cli.worker.metrics_options import add_metrics_options, check_metrics_address
from mainspring.cli.worker.parent_watch import watch_parent
from mainspring.cli.worker.recycle import Recycling
from mainspring.cli.worker.stop import StopAnnouncer
from mainspring.engine.settings import MOST_SLOTS, slots_of
from mainspring.model.options import Check, count, seconds
from mainspring.queue.options import METRICS_HOST, METRICS_PORT
from mainspring.supervision.terminal import Terminal

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--app", required=True, metavar="MODULE:QUEUE", help=APP_HELP)
    add_import(parser)
    parser.add_argument(
        "--queues", metavar="A,B", help="take jobs from these queues only (default: all)"
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        metavar="N",
        help="threads, and as many child processes; 0: CPUs (default: the queue's workers=)",
    )
    parser.add_argument(
        "--async-slots",
        type=int,
        metavar="N",
        help="coroutines at once (default: the queue's async_slots=, 100)",
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="worker processes (default: 1)"
    )
    parser.add_argument(
        "--grace",
        type=float,
        metavar="SECONDS",
        help="what running jobs get at a stop (default: the queue's grace=)",
    )
    add_log_options(parser)
    parser.add_argument(
        "--log-jobs", action="store_true", help="log a line for each attempt that ends"
    )
    add_metrics_options(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="name the tasks at the start")
    parser.add_argument(
        "--reload",
        action="store_true",
        help="start anew when a Python file below this folder changes; for development",
    )


def run(options: argparse.Namespace) -> int:
    """Run the worker until it is asked to stop; 0 when it has."""
    _check(options)
    if options.processes != 1 or options.reload:
        from mainspring.cli.processes.command import run_processes  # noqa: PLC0415  # a lazy door

        return run_processes(options)
    check_metrics_address(options)
    Terminal().guard_output()
    printer = Printer(options.log_format, options.log_level)
    queue = load_app(options.app, options.imports)
    settings = queue.settings
    grace = settings.grace if options.grace is None else options.grace
    names = names_in(options.queues)
    workers = settings.workers if options.concurrency is None else slots_of(options.concurrency)
    asyncs = settings.async_slots if options.async_slots is None else options.async_slots
    for line in banner(queue, names, workers=workers, async_slots=asyncs, verbose=options.verbose):
        printer.say(line)
    queue.subscribe(StopAnnouncer(grace, printer), "shutdown_asked", inline=True)
    stop, stop_now = partial(queue.shutdown, at_once=False), partial(queue.shutdown, at_once=True)
    recycling = Recycling(stop, printer.say)
    queue.subscribe(recycling, "shutdown_asked", "worker_unhealthy", inline=True)
    watch_parent(stop, stop_now)
    queue.run_worker(
        names,
        workers=options.concurrency,
        async_slots=options.async_slots,
        grace=grace,
        log_jobs=options.log_jobs,
        metrics_port=options.metrics_port,
        metrics_host=options.metrics_host,
    )
    queue.close()  # a node that held locks leaves, too, and nobody has to find it gone
    if recycling.due:
        recycling.start_anew()
    printer.say("Worker stopped.")
    return 0


def names_in(queues: str | None) -> list[str] | None:
    """Return the names in a list with commas; None for none."""
    if queues is None:
        return None
    return [name.strip() for name in queues.split(",") if name.strip()]


def _check(options: argparse.Namespace) -> None:
    # Told once, by the name that was typed, and not by each process of a group over and over.
    for option, check in _CHECKS.items():
        if (value := getattr(options, option.removeprefix("--").replace("-", "_"))) is not None:
            check("worker", option, value)


_CHECKS = {
    "--metrics-port": METRICS_PORT,
    "--metrics-host": METRICS_HOST,
    "--concurrency": count(
        least=0,
        most=MOST_SLOTS,
        expected=f"a number from 1 to {MOST_SLOTS}, or 0 for that of the CPUs",
    ),
    "--async-slots": count(least=1, most=MOST_SLOTS, expected=f"a number from 1 to {MOST_SLOTS}"),
    "--grace": seconds(expected="seconds, at least 0"),
    "--queues": Check(
        lambda value: names_in(value) != [],
        "names of queues, as in --queues mail,default; all are taken without the option",
    ),
}
