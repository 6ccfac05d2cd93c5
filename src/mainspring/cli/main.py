"""The command `mainspring`, from its first moment to its last: it ends in order, or with a line.

It imports little before the signals are its own: Ctrl+C during the imports is answered, too.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.cli.init import is_init, run_below_init
from mainspring.supervision.stop_signals import SIGNALLED, Interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = SIGNALLED + 2
"""The exit code of what SIGINT has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for what the user can mend, 130 for Ctrl+C."""
    if is_init() and (code := run_below_init()) is not None:
        return code
    interruption = Interruption()
    interruption.take_signals()
    hook, sys.unraisablehook = sys.unraisablehook, _end_if_interrupted
    try:
        from mainspring.cli.parser import run_command  # noqa: PLC0415  # see above

        code = run_command(sys.argv[1:] if arguments is None else arguments)
    except BaseException as error:
        # What it lands in may raise another error in its place.
        if not (interruption.came or isinstance(error, KeyboardInterrupt)):
            raise
        _say_interrupted()
        code = INTERRUPTED
    finally:
        sys.unraisablehook = hook
    # What caught it may have ended with an error of its own, which was printed.
    code = INTERRUPTED if interruption.came else code
    interruption.end(code)
    return code


def _end_if_interrupted(problem: sys.UnraisableHookArgs) -> None:
    """Let no interruption get lost in code that can't raise it, as a callback of the collector."""
    if problem.exc_type is KeyboardInterrupt:
        _say_interrupted()
        os._exit(INTERRUPTED)
    sys.__unraisablehook__(problem)


def _say_interrupted() -> None:
    with suppress(OSError):
        os.write(2, b"mainspring: interrupted\n")
