"""`mainspring worker`: run a queue's jobs in this process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from mainspring.cli.app import HELP as APP_HELP
from mainspring.cli.app import load_app
from mainspring.cli.recycle import Recycling
from mainspring.model.events import ShutdownAsked

if TYPE_CHECKING:
    import argparse

    from mainspring.model.events import Event
    from mainspring.queue import Queue

GUARD_SECONDS = 5.0
"""So long after the grace a worker that still hangs is ended hard."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--app", required=True, metavar="MODULE:QUEUE", help=APP_HELP)
    parser.add_argument(
        "--queues", metavar="A,B", help="take jobs from these queues only (default: all)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the worker until SIGINT or SIGTERM; 0 when it stopped as asked."""
    logging.basicConfig(level=logging.INFO, format="[mainspring] %(levelname)s %(message)s")
    queue = load_app(options.app)
    names = _names(options.queues)
    say("Starting worker...")
    say(f"Registered tasks: {len(queue.tasks)}")
    say(f"Queues: {', '.join(names or _registered(queue))}")
    queue.subscribe(Farewell(queue.grace))
    recycling = Recycling(queue.shutdown, say)
    queue.subscribe(recycling)
    queue.run_worker(names)
    if recycling.due:
        queue.close()
        recycling.start_anew()
    say("Worker stopped.")
    return 0


def say(line: str) -> None:
    """Print a line of the worker's own on standard error."""
    # Not print(): this is also called from a signal handler, in the midst of another print.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"[mainspring] {line}\n".encode())


class Farewell:
    """Says that the worker stops, and sees to it that it does."""

    def __init__(self, grace: float) -> None:
        self._grace = grace

    def __call__(self, event: Event) -> None:
        """Take notice of an event."""
        if isinstance(event, ShutdownAsked):
            if event.times == 1:
                say("Shutting down gracefully (waiting for in-flight jobs)...")
                self._guard(self._grace + GUARD_SECONDS)
            else:
                say("Stopping at once...")
                self._guard(GUARD_SECONDS)

    def _guard(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        say("Worker did not stop in time; ending the process. Its jobs run elsewhere.")
        os._exit(1)


def _names(queues: str | None) -> list[str] | None:
    return [name.strip() for name in queues.split(",") if name.strip()] if queues else None


def _registered(queue: Queue) -> list[str]:
    return sorted({task.queue for task in queue.tasks})
