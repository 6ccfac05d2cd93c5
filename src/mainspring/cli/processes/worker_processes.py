"""Several worker processes under one: each is a service, which starts another when one ends."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from mainspring.cli.worker.parent_watch import ParentPipe
from mainspring.cli.worker.stop import GUARD_SECONDS, NO_THREAD_SECONDS
from mainspring.clock import monotonic
from mainspring.supervision.restart import DoublingBackoff, Failures, Restart
from mainspring.supervision.supervisor.member import HEALTHY_AFTER
from mainspring.supervision.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.protocols import Service

PATIENT = Restart(backoff=DoublingBackoff(base=0.5, cap=5.0))
"""A process that ends unasked is started again at once; soon after another, with rests between."""

BEYOND_GRACE = GUARD_SECONDS + 2 * NO_THREAD_SECONDS
"""Seconds after the grace by which a worker has ended itself; later it is killed."""


class WorkerProcess:
    """One process, and another in its place whenever it ends unasked. A service."""

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        *,
        grace: float,
        say: Callable[[str], None],
    ) -> None:
        self.name = f"worker {number}"
        self.grace = grace + BEYOND_GRACE
        self._command = command
        self._say = say
        self._failures = Failures(PATIENT, backoff=DoublingBackoff())
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: ParentPipe | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._roused = asyncio.Event()
        self._closed = False
        self._replaced = False

    async def run(self, started: Callable[[], None]) -> None:
        """Keep a process running until closed."""
        self._loop = asyncio.get_running_loop()
        started()
        while not self._closed:
            self._replaced, began = False, monotonic()
            with closing(ParentPipe()) as self._pipe:
                code = await self._end_of(await self._spawn(self._pipe))
            if not self._closed and not self._replaced:
                await self._rest(code, monotonic() - began)

    async def _spawn(self, pipe: ParentPipe) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, **pipe.environment()},
            pass_fds=(pipe.descriptor,),
            # Ctrl+C in a terminal reaches a whole group: a subprocess of a job would end by it.
            start_new_session=True,
        )
        if self._closed:  # while it was being started
            self._signal(signal.SIGTERM)
        return self._process

    async def _end_of(self, process: asyncio.subprocess.Process) -> int:
        try:
            return await process.wait()
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)
            await process.wait()
            raise

    async def _rest(self, code: int, lived: float) -> None:
        if lived > HEALTHY_AFTER:
            self._failures.succeeded()
        seconds = self._failures.failed(monotonic()) or 0.0
        self._say(f"{self.name} ended with {in_words(code)}; another starts in {seconds:.1f} s")
        self._roused.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._roused.wait(), seconds)

    def close(self) -> None:
        """Ask the process to stop with its grace, however often it is called."""
        self._closed = True
        self._signal(signal.SIGTERM)
        self._wake()

    def hurry(self) -> None:
        """Have the process end at once what it runs."""
        self.close()
        if self._pipe is not None:
            self._pipe.hurry()

    def replace(self) -> None:
        """Let the process end, and start another without a rest."""
        self._replaced = True
        self._signal(signal.SIGTERM)
        self._wake()

    def _wake(self) -> None:
        # A loop that is closed has nobody who rests.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._roused.set)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)


def in_words(code: int) -> str:
    """Return how a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


class WorkerProcessGroup:
    """The processes, and the supervisor that starts and stops them together."""

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        *,
        grace: float,
        say: Callable[[str], None],
        also: Sequence[Service] = (),
    ) -> None:
        self._workers = [
            WorkerProcess(number, command, grace=grace, say=say)
            for number, command in enumerate(commands, 1)
        ]
        services = [*also, *self._workers]
        self._supervisor = Supervisor(services, name="group", grace=grace + BEYOND_GRACE)

    def start(self) -> None:
        """Start every process."""
        self._supervisor.start()

    def stop(self) -> None:
        """Ask every process to stop with its grace, all at the same time."""
        for worker in self._workers:
            worker.close()
        self._supervisor.close()

    def stop_now(self) -> None:
        """Have every process end at once what it runs."""
        for worker in self._workers:
            worker.hurry()
        self._supervisor.close(BEYOND_GRACE)

    def replace(self) -> None:
        """Have every process end and another take its place."""
        for worker in self._workers:
            worker.replace()

    def wait(self, seconds: float) -> bool:
        """Wait for the end so long; return whether it came."""
        return self._supervisor.join(seconds)
