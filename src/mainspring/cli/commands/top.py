"""`mainspring top`: a queue on the whole terminal, live, with keys to act on it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import add_source, queue_of
from mainspring.errors import MissingExtra, UsageError
from mainspring.model.options import Check

if TYPE_CHECKING:
    import argparse

LEAST_INTERVAL = 0.1
_INTERVAL = Check(
    lambda value: isinstance(value, (int, float)) and LEAST_INTERVAL <= value < float("inf"),
    f"seconds, at least {LEAST_INTERVAL:g}",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_source(parser)
    parser.add_argument(
        "--interval",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="between two looks at the store (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Show the queue until q is pressed; 0 then."""
    _INTERVAL("top", "--interval", options.interval)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "mainspring top needs a terminal for its screen and keys; "
            "for pipes and programs there are mainspring stats, jobs and nodes, with --json"
        )
    try:
        from mainspring.cli.top.session import TopSession  # noqa: PLC0415  # an extra
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "rich":
            raise
        raise MissingExtra("mainspring top", "top") from missing
    queue = queue_of(options)
    try:
        TopSession(queue, options.interval).run()
    finally:
        queue.close()
    return 0
