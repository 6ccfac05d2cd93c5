"""Several worker processes under one: each is a service of a supervisor, which starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.cli.lifeline import Lifeline
from mainspring.errors import ServiceFailed
from mainspring.supervision.restart import Doubling, Restart
from mainspring.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.protocols import Service

PATIENT = Restart(backoff=Doubling(base=0.5, cap=5.0))
"""A process that ends unasked is started again at once, later with rests in between."""

BEYOND_GRACE = 6.0
"""Seconds after the grace by which a worker has ended itself; later it is killed."""


class WorkerProcess:
    """One process; when it ends unasked, it has failed. A service."""

    def __init__(
        self, number: int, command: Sequence[str], lifeline: Lifeline, *, grace: float
    ) -> None:
        self.name = f"worker {number}"
        self.grace = grace + BEYOND_GRACE
        self._command = command
        self._lifeline = lifeline
        self._process: asyncio.subprocess.Process | None = None
        self._closed = False
        self._replaced = False

    async def run(self, started: Callable[[], None]) -> None:
        """Start the process, and another whenever it is to be replaced; live as long as it does."""
        if not self._closed:
            self._process = await self._spawn()
        started()
        while self._process is not None:
            code = await self._end_of(self._process)
            if not self._closed and not self._replaced:
                raise ServiceFailed(self.name, f"its process ended with {told(code)}")
            self._process = None if self._closed else await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._replaced = False
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, **self._lifeline.environment()},
            pass_fds=(self._lifeline.descriptor,),
            # Ctrl+C in a terminal reaches a whole group: ours must come from us, once.
            start_new_session=True,
        )
        if self._closed:  # while it was being started
            process.send_signal(signal.SIGTERM)
        return process

    async def _end_of(self, process: asyncio.subprocess.Process) -> int:
        try:
            return await process.wait()
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)
            await process.wait()
            raise

    def close(self) -> None:
        """Ask the process to stop with its grace; again: at once."""
        self._closed = True
        self._signal(signal.SIGTERM)

    def replace(self) -> None:
        """Let the process end, and start another."""
        self._replaced = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)


def told(code: int) -> str:
    """Return how a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


class Herd:
    """The processes, and the supervisor that starts and stops them together."""

    def __init__(
        self, command: Sequence[str], count: int, *, grace: float, also: Sequence[Service] = ()
    ) -> None:
        self._lifeline = Lifeline()
        self._workers = [
            WorkerProcess(number, command, self._lifeline, grace=grace)
            for number in range(1, count + 1)
        ]
        self._supervisor = Supervisor(also, name="herd", grace=grace + BEYOND_GRACE)
        for worker in self._workers:
            self._supervisor.add(worker, restart=PATIENT)

    def start(self) -> None:
        """Start every process."""
        self._supervisor.start()

    def stop(self) -> None:
        """Ask every process to stop, all at the same time; a second time: at once."""
        for worker in self._workers:
            worker.close()
        self._supervisor.close()

    def replace(self) -> None:
        """Have every process end and another take its place."""
        for worker in self._workers:
            worker.replace()

    def wait(self, seconds: float) -> bool:
        """Wait for the end so long; return whether it came."""
        ended = self._supervisor.join(seconds)
        if ended:
            self._lifeline.close()
        return ended
