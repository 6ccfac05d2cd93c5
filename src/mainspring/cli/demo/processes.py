"""Running processes: from `/proc` where there is one (Linux), else from `ps` (macOS)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
LOOK_SECONDS = 0.02


class Process(NamedTuple):
    """A process; `began` tells it from a later one that got the same number."""

    pid: int
    began: str


def children_of(pid: int) -> set[Process]:
    """Return the processes that `pid` has started, while it lives."""
    return {process for process, parent in _processes() if parent == pid}


def still_alive(processes: set[Process], within: float) -> set[Process]:
    """Return those of the processes that have not ended `within` seconds."""
    deadline = time.monotonic() + within
    while alive := processes & {process for process, _ in _processes()}:
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_SECONDS)
    return alive


def _processes() -> Iterator[tuple[Process, int]]:
    """Yield every process that has not ended, with its parent's number."""
    for pid, parent, state, began in _from_proc() if (PROC / "self/stat").exists() else _from_ps():
        if not state.startswith(("Z", "X")):
            yield Process(int(pid), began), int(parent)


def _from_proc() -> Iterator[tuple[str, str, str, str]]:
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                # The command's name stands first, in brackets, and may hold anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            yield folder.name, fields[1], fields[0], fields[19]


def _from_ps() -> Iterator[tuple[str, str, str, str]]:
    command = ["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="]
    english = {**os.environ, "LC_ALL": "C"}
    listed = subprocess.run(command, env=english, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own words
    for line in listed.stdout.splitlines():
        pid, parent, state, began = line.split(None, 3)
        yield pid, parent, state, began
