"""Views of a daemon's workers on standard output: a table at its foot, or lines."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.cli.daemon.screen import TableScreen, redraws
from mainspring.cli.daemon.table import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from typing import TextIO

ENDED = frozenset({"stopped", "failed"})


class WorkerView(Protocol):
    """A view of the workers."""

    def show(self, workers: Sequence[dict[str, Any]]) -> None:
        """Show what `get_info()["workers"]` holds."""
        ...


class TableView:
    """A table at the foot of a terminal."""

    def __init__(self, screen: TableScreen) -> None:
        self._screen = screen

    def show(self, workers: Sequence[dict[str, Any]]) -> None:
        """Put it in the place of the last one."""
        self._screen.show(table_of(workers, datetime.now(UTC)))


class ChangeView:
    """A line whenever a worker starts, begins to fail, is well again, or ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._known: dict[str, str] = {}

    def show(self, workers: Sequence[dict[str, Any]]) -> None:
        """Write what has changed since the last time."""
        for worker in workers:
            condition, name = _condition(worker), worker["name"]
            if self._known.get(name) != condition:
                self._known[name] = condition
                counts = f"{worker['runs']} runs, {worker['errors']} errors"
                error = f"; {worker['error']}" if condition in ("failing", "failed") else ""
                self._out.write(f"[mainspring] worker {name!r} {condition}: {counts}{error}\n")
        self._out.flush()


def _condition(worker: dict[str, Any]) -> str:
    if worker["state"] in ENDED:
        return str(worker["state"])
    return "failing" if worker["failing"] else "active"


def new_view(stack: ExitStack, *, table_wanted: bool) -> WorkerView:
    """Return what suits standard output; a screen stands in for that while the stack lasts."""
    if not table_wanted or not redraws(sys.stdout):
        return ChangeView(sys.stdout)
    screen = TableScreen(sys.stdout)
    stack.callback(screen.leave)
    if sys.stderr.isatty():
        stack.enter_context(redirect_stderr(screen))
    stack.enter_context(redirect_stdout(screen))
    return TableView(screen)
