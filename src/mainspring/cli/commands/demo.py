"""`mainspring demo`: index the standard library with two workers, and lose one on the way."""

from __future__ import annotations

import signal
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli.demo.demo import Demo, no_tree
from mainspring.cli.demo.output import DemoOutput
from mainspring.cli.demo.source import TESTS
from mainspring.cli.demo.workers import workplace

if TYPE_CHECKING:
    import argparse

INTERRUPTED = 130
"""Exit code of a command that Ctrl+C ended."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    stdlib = sysconfig.get_path("stdlib")
    parser.add_argument("--path", default=stdlib, help="the tree to index (default: %(default)s)")
    parser.add_argument(
        "--url", help="an empty store on a server (default: a SQLite file that is thrown away)"
    )
    parser.add_argument("--with-tests", action="store_true", help="index its test folders, too")
    parser.add_argument("--keep", action="store_true", help="leave the database for a look")


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 if the index is right and no process is left behind."""
    root = Path(options.path).absolute()
    if not root.is_dir():
        raise no_tree(options.path)
    skip = [] if options.with_tests else sorted(TESTS)
    screen = DemoOutput(sys.stdout)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with workplace(screen, options.url, keep=options.keep) as folder:
        try:
            return Demo(root, skip, folder, screen).run()
        except KeyboardInterrupt:
            screen.say("Interrupted; the workers have ended.")
            return INTERRUPTED
