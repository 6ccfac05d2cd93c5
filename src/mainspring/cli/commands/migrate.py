"""`mainspring migrate`: bring the store's tables to this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines

if TYPE_CHECKING:
    import argparse

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.set_defaults(verb=migrate)


def migrate(queue: Queue, options: argparse.Namespace) -> int:
    """Migrate, and say so."""
    queue.migrate()
    if options.json:
        print_json({"migrated": True})
    else:
        print_lines(["the tables are of this version"])
    return DONE
