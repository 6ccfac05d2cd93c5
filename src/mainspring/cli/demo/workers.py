"""The demo's worker processes: started, one of them killed, stopped, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from mainspring.cli.demo.processes import Process, children_of, still_alive
from mainspring.errors import ServiceFailed
from mainspring.stores.public_url import public_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.cli.demo.output import DemoOutput

COMMAND = (sys.executable, "-m", "mainspring", "worker", "--app", "mainspring.cli.demo.tasks:queue")
STOP_SECONDS = 10.0
ORPHAN_SECONDS = 2.0
"""A child may outlive its worker by a second; this is twice that."""


@contextmanager
def workplace(screen: DemoOutput, url: str | None, *, keep: bool) -> Iterator[Path]:
    """Make a folder for logs and, without a URL, the database; remove it unless it is to be kept.

    MAINSPRING_URL names the store from here on: to this process, and to those that it starts.
    """
    folder = Path(tempfile.mkdtemp(prefix="mainspring-demo-"))
    os.environ["MAINSPRING_URL"] = url or f"sqlite:///{quote(str(folder / 'jobs.db'))}"
    try:
        yield folder
    finally:
        if keep:
            place = public_url(url) if url else folder / "jobs.db"
            screen.say(f"The database is {place}, the workers' logs are {logs_of(folder, url)}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def logs_of(folder: Path, url: str | None) -> str:
    """Return where the workers' logs are."""
    return f"in {folder}" if url else "beside it"


class WorkerProcesses:
    """Processes that run `mainspring worker`; leaving the `with` block ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self._children: set[Process] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def victim(self) -> int:
        """The number of the one to be killed, the oldest."""
        return self._running[0].pid

    def start(self) -> int:
        """Start one more, with its output in a file of its own; return its number."""
        self._started += 1
        with self._log(self._started).open("wb") as log:
            worker = subprocess.Popen(COMMAND, cwd=self._folder, stdout=log, stderr=log)  # noqa: S603  # our own words
        self._running.append(worker)
        return worker.pid

    def kill(self) -> int:
        """Kill the oldest with SIGKILL; return how many children it had."""
        victim = self._running.pop(0)
        children = children_of(victim.pid)
        self._children |= children
        victim.kill()
        victim.wait()
        return len(children)

    def check(self) -> None:
        """Raise ServiceFailed if one has ended by itself."""
        for number, worker in enumerate(self._running, 1 + self._started - len(self._running)):
            # Looked at last: another thread may be stopping it.
            if worker.poll() is not None and worker in self._running:
                said = self._log(number).read_text(errors="replace").strip().splitlines()
                raise ServiceFailed(f"worker {number}", said[-1] if said else "it said nothing")

    def stop(self) -> None:
        """Ask all to stop, and wait; one that does not is killed."""
        stopping, self._running = self._running, []
        for worker in stopping:
            self._children |= children_of(worker.pid)
            worker.terminate()
        for worker in stopping:
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def left_behind(self) -> set[Process]:
        """Return the children of ended workers that live on."""
        return still_alive(self._children, ORPHAN_SECONDS)

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"
