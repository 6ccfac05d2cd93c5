"""The commands of `mainspring`: their parser, and what their errors look like."""

from __future__ import annotations

import argparse
import errno
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import mainspring
from mainspring.cli.text.streams import give_up_output, prepare_streams
from mainspring.errors import MainspringError
from mainspring.model.printable import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "worker": "run the jobs of a queue",
    "jobs": "list, show, explain, cancel, retry, move and remove jobs",
    "failures": "say what fails most, by task and error",
    "queues": "list, pause and resume queues",
    "nodes": "list live workers, and who holds locks",
    "cron": "list, run, pause and resume schedules",
    "enqueue": "enqueue a job",
    "stats": "count jobs, and say how far behind the workers are",
    "audit": "list who has changed what",
    "purge": "remove jobs that have ended",
    "copy": "copy a queue into another store, while no worker runs",
    "doctor": "check the store and the workers, and say what to do",
    "migrate": "bring the tables of a database to this version",
    "top": "show a queue on the whole terminal, live, and act on it",
    "dashboard": "show a queue in a browser, and act on it",
    "supervise": "run the workers of a module as a daemon",
    "demo": "index the standard library, and lose a worker on the way",
}
"""Each is a file in the room `commands`, with `add_options(parser)` and `run(options)`."""

USAGE_ERROR = 2
OUTPUT_LOST = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
"""Errors of the disk or terminal that the output goes to; a store reports more of its own file."""


def run_command(words: Sequence[str]) -> int:
    """Run a command and return its exit code: 2 for what the user can mend."""
    prepare_streams()
    options = parser(words).parse_args(words)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
    except MainspringError as error:
        print(error_text(error), file=sys.stderr)  # noqa: T201  # it is the command
        return USAGE_ERROR
    except BrokenPipeError:
        # Whoever read has read enough, as `head` does.
        give_up_output()
        return 0
    except OSError as error:
        if error.errno not in OUTPUT_LOST or error.filename is not None:
            raise
        give_up_output()
        print(f"mainspring: error: the output can't be written: {error.strerror}", file=sys.stderr)  # noqa: T201  # as above
        return USAGE_ERROR
    return code


class Parser(argparse.ArgumentParser):
    """A parser whose errors show what was typed, and do nothing else with it."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end with 2."""
        super().error(printable(message))

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # of its overloads
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Refuse options where a verb is due: their values would be taken for it."""
        words = list(args or ())
        verbs = [one for one in self._actions if one.metavar == "VERB" and one.choices]
        if verbs and words and words[0].startswith("-") and words[0] not in {"-h", "--help"}:
            named = [one for one in words if one in (verbs[0].choices or ())]
            verb = named[0] if named else "VERB"
            known = ", ".join(map(str, verbs[0].choices or ()))
            given = "" if named else f" (one of {known})"
            self.error(f"the verb comes first: {self.prog} {verb}{given}, then {words[0]}")
        return super().parse_known_args(args, namespace)


def error_text(error: BaseException) -> str:
    """Return what is printed of an error; its further lines can't be taken for another error."""
    return printable_lines(f"mainspring: error: {error}").replace("\n", "\n  ")


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser, with the options of the command that is named in `words`."""
    top = Parser(prog="mainspring", description="Background work for Python.")
    top.add_argument("--version", action="version", version=f"mainspring {mainspring.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        sub = commands.add_parser(name, help=purpose, description=purpose)
        if name in words:
            command = import_module(f"mainspring.cli.commands.{name}")
            command.add_options(sub)
            sub.set_defaults(run=command.run)
    return top
