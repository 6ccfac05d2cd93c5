"""Contract of a service, as a suite to inherit from; see `mainspring.protocols.Service`.

    class TestMyService(ServiceContract):
        def make(self) -> Service:
            return MyService()

Plain asserts and `asyncio.run`: it needs no plugin. Each test makes services of its own.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Self

    from mainspring.protocols import Service

PATIENCE = 10.0
"""Seconds after which a service that should have started or ended counts as stuck."""

ROUNDS = 20
"""Number of times that a race is tried."""


class ServiceContract:
    """The lifecycle contract: inherit, and say how to make a service."""

    def make(self) -> Service:
        """Return a fresh service that starts and runs until closed."""
        raise NotImplementedError

    def make_failing(self) -> Service | None:
        """Return a fresh service whose `run` raises by itself; None: it has no way to fail."""
        return None

    def test_it_has_a_name(self) -> None:
        """Views and logs need one."""
        _must(bool(self.make().name), "a service has a name")

    def test_it_starts_once_and_ends_when_closed(self) -> None:
        """`started()` exactly once, and `run` returns after `close`."""

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            await life.end()
            life.must_have_started_once()

        asyncio.run(live())

    def test_it_runs_until_it_is_closed(self) -> None:
        """It does not end by itself."""

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            for _ in range(10):
                await asyncio.sleep(0)
            _must(not life.task.done(), "it ended without being asked")
            await life.end()

        asyncio.run(live())

    def test_closed_before_run_it_starts_and_returns_at_once(self) -> None:
        """`run` after `close` calls `started()` and returns."""

        async def live() -> None:
            service = self.make()
            service.close()
            life = _RunningService(service)
            await _in_time(life.task, "run() after close() did not return")
            life.must_have_started_once()

        asyncio.run(live())

    def test_closing_twice_and_after_its_end_is_harmless(self) -> None:
        """`close` any number of times."""

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            life.service.close()
            await life.end()
            life.service.close()

        asyncio.run(live())

    def test_closed_while_it_starts_it_ends(self) -> None:
        """`close` at every early step of the start: it ends, and has called `started()` once."""

        async def live(steps: int) -> None:
            life = _RunningService(self.make())
            for _ in range(steps):
                await asyncio.sleep(0)
            await life.end(f"closed after {steps} steps of its start, it did not end")
            life.must_have_started_once()

        for steps in range(ROUNDS):
            asyncio.run(live(steps))

    def test_closed_from_several_threads_at_once_it_ends(self) -> None:
        """`close` from four threads, while it starts and later."""

        async def live() -> None:
            life = _RunningService(self.make())
            threads = [threading.Thread(target=life.service.close) for _ in range(4)]
            for thread in threads:
                thread.start()
            await _in_time(life.task, "closed from several threads, it did not end")
            for thread in threads:
                thread.join()
            life.must_have_started_once()

        for _ in range(ROUNDS):
            asyncio.run(live())

    def test_run_again_after_its_end_it_returns_or_refuses(self) -> None:
        """`run` after a full life does not hang: closed is closed."""

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            await life.end()
            again = _RunningService(life.service)
            with suppress(RuntimeError):
                await _in_time(again.task, "run() after its end did not return")

        asyncio.run(live())

    def test_cancelled_it_ends(self) -> None:
        """Cancelling is the last resort, and it works; the cancellation is not swallowed."""

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            life.task.cancel()
            await asyncio.wait([life.task], timeout=PATIENCE)
            _must(life.task.done(), "it did not end when cancelled")
            _must(life.task.cancelled(), "it swallowed its cancellation")
            life.service.close()

        asyncio.run(live())

    def test_closed_while_it_fails_it_ends(self) -> None:
        """`close` from another thread while `run` raises: it ends, with that error or without."""

        async def live(service: Service) -> None:
            task = _RunningService(service).task
            thread = threading.Thread(target=service.close)
            thread.start()
            await asyncio.wait([task], timeout=PATIENCE)
            thread.join()
            _must(task.done(), "closed while it failed, it did not end")
            task.exception()

        for _ in range(ROUNDS):
            failing = self.make_failing()
            if failing is not None:
                asyncio.run(live(failing))

    def test_it_leaves_no_thread_behind(self) -> None:
        """Every thread that it started has ended when `run` returns."""
        before = set(threading.enumerate())

        async def live() -> None:
            life = await _RunningService(self.make()).begun()
            await life.end()
            left = {one for one in threading.enumerate() if one.is_alive()} - before
            _must(not left, f"threads were left behind: {left}")

        asyncio.run(live())


class _RunningService:
    """A service that runs in a task, and how often it has called `started()`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.starts = 0
        self._first = asyncio.Event()
        self.task = asyncio.create_task(service.run(self._started))

    def _started(self) -> None:
        self.starts += 1
        self._first.set()

    async def begun(self) -> Self:
        """Wait until it has started; raise what its start raised."""
        first = asyncio.ensure_future(self._first.wait())
        either = asyncio.FIRST_COMPLETED
        await asyncio.wait([first, self.task], timeout=PATIENCE, return_when=either)
        first.cancel()
        if self.task.done() and not self.starts:
            self.task.result()
        _must(self.starts > 0, "it did not start")
        return self

    async def end(self, complaint: str = "it did not end after close()") -> None:
        """Close it, and wait for its end."""
        self.service.close()
        await _in_time(self.task, complaint)

    def must_have_started_once(self) -> None:
        """Complain unless it has."""
        _must(self.starts == 1, f"started() was called {self.starts} times")


async def _in_time(awaitable: Awaitable[object], complaint: str) -> None:
    try:
        await asyncio.wait_for(awaitable, PATIENCE)
    except TimeoutError:
        raise AssertionError(complaint) from None


def _must(true: bool, sentence: str) -> None:  # noqa: FBT001  an assert that `python -O` keeps
    if not true:
        raise AssertionError(sentence)
