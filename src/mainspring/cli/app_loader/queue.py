"""The queue of a command: `--app module:attribute`, `--url` or `--db`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from mainspring.app_address import Address, import_here
from mainspring.app_factory import NotUsable
from mainspring.errors import StoreUnusable, UsageError
from mainspring.queue import Queue
from mainspring.stores.url import file_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


APP_HELP = (
    "where the Queue is: module:attribute, seen from this folder; or an app that has one, or a "
    "function that returns either"
)


def load_app(app: str, imports: Sequence[str] = ()) -> Queue:
    """Return the Queue that `module:attribute` names, seen from the current directory.

    Then import modules, whose tasks register with it. Raises AppNotFound or UsageError, with the
    reason.
    """
    queue = Address(app, Queue, noun="queue", example="myapp.tasks:queue").find()
    for name in imports:
        try:
            import_here(name)
        except NotUsable as error:
            raise UsageError(f"--import {name}: {error}") from error.__cause__
    return queue


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add the option that names modules with tasks."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="import this module, too, whose tasks register with --app; may be repeated",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the queue, and `--json`."""
    add_source(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the queue."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--app", metavar="MODULE:QUEUE", help=APP_HELP)
    which.add_argument(
        "--url",
        help="where the jobs are (default: MAINSPRING_URL, or mainspring.db in this folder)",
    )
    which.add_argument("--db", metavar="FILE", help="the SQLite file that the jobs are in")
    add_import(parser)


def store_option(options: argparse.Namespace) -> str:
    """Return the option that names the same queue, to end a command with; "" for the usual one.

    A URL may hold a password, and is not repeated.
    """
    if options.url:
        return " --url URL"
    named = {"--app": options.app, "--db": options.db}
    return "".join(f" {option} {quote(text)}" for option, text in named.items() if text)


def queue_of(options: argparse.Namespace) -> Queue:
    """Return the queue that the options name.

    Raises `StoreUnusable` for a file that is not there, unless the program's own code names it: a
    slip of the pen must not make a new, empty database.
    """
    if options.app:
        return load_app(options.app, options.imports)
    if options.imports:
        raise UsageError("--import needs --app, which names the queue that tasks register with")
    queue = Queue(options.url, db_path=options.db)
    refuse_memory(queue, "name a file with --db or --url, or the queue with --app")
    refuse_absent(queue, "name it with --app, --db or --url")
    return queue


def queue_at(url: str, *, new: bool = False) -> Queue:
    """Return the queue of a URL; it may be a `new` one. Raises `StoreUnusable`."""
    queue = Queue(url)
    refuse_memory(queue, "name a file or a server")
    if not new:
        refuse_absent(queue, "name the one that is there")
    return queue


def refuse_memory(queue: Queue, remedy: str) -> None:
    """Raise `StoreUnusable` for a queue that ends with this process."""
    if queue.url.startswith("memory:"):
        raise StoreUnusable(queue.url, "it is in this process's memory, and empty", remedy)


def refuse_absent(queue: Queue, remedy: str) -> None:
    """Raise `StoreUnusable` for a file that is not there."""
    path = file_of(queue.url)
    if path is not None and not Path(path).exists():
        raise StoreUnusable(path, "there is no such file", remedy)
