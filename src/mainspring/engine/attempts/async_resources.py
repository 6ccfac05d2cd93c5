"""Resources that belong to an event loop: each lives in a task of its own, from start to end.

So its two ends are in one task, as cancel scopes and task groups ask, and no body that is cancelled
takes it along.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mainspring.model.resource import Resource

log = logging.getLogger("mainspring.engine")


class LiveResource:
    """One resource on one loop."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._closing = asyncio.Event()
        self.value: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting any more when it fails.
        self.value.add_done_callback(_look)
        # In a context of its own: it outlives the body that asks first.
        self.task = asyncio.get_running_loop().create_task(self._live(), context=Context())

    async def close(self, seconds: float) -> None:
        """End it, and wait for that so long; one that is still being made is cancelled."""
        self._closing.set()
        if not self.value.done():
            self.task.cancel()
        _, left = await asyncio.wait([self.task], timeout=max(0.0, seconds))
        if left:
            log.warning("resource %s has not closed in time, and is left behind", self._name)
            self.task.cancel()

    @property
    def _name(self) -> str:
        return self._resource.name

    async def _live(self) -> None:
        try:
            async with self._resource.manager() as value:
                self.value.set_result(value)
                await self._closing.wait()
        except BaseException as error:  # what a task raises may end the loop's run
            if isinstance(error, GeneratorExit) or self.task.cancelling():
                raise
            if self.value.done():
                log.warning("resource %s went wrong as it was closed: %r", self._name, error)
            else:
                self._resource.annotate(error)
                self.value.set_exception(error)
        finally:
            self.value.cancel()


class AsyncResources:
    """Keeps them apart by loop; each method is for the running one.

    `get_blocking` returns the value of a resource that is no loop's. `close_seconds`: all that they
    have together to be closed.
    """

    def __init__(self, get_blocking: Callable[[Resource], Any], *, close_seconds: float) -> None:
        self._get_blocking = get_blocking
        self._close_seconds = close_seconds
        self._live: dict[tuple[asyncio.AbstractEventLoop, Callable[..., Any]], LiveResource] = {}
        self._making: dict[Callable[..., Any], Future[Any]] = {}
        self._runner: asyncio.Runner | None = None

    async def get(self, resource: Resource) -> Any:
        """Return the value, made if it was not yet. Raises what making it raises."""
        if not resource.is_async:
            return await asyncio.wrap_future(self._in_thread(resource))
        key = asyncio.get_running_loop(), resource.function
        live = self._live.get(key)
        if live is None or live.task.done():
            live = self._live[key] = LiveResource(resource)
        return await asyncio.shield(live.value)

    def _in_thread(self, resource: Resource) -> Future[Any]:
        """Return what is done once the value is there; made in a thread, once for all who wait.

        Not in one of the loop's own threads, for whose end the loop and the process would wait.
        """
        making = self._making.get(resource.function)
        if making is None or making.done():
            making = self._making[resource.function] = Future()
            # Who waits may be cancelled; that is not.
            making.set_running_or_notify_cancel()
            threading.Thread(
                target=self._make, args=(resource, making), name="mainspring-resource", daemon=True
            ).start()
        return making

    def _make(self, resource: Resource, making: Future[Any]) -> None:
        try:
            making.set_result(self._get_blocking(resource))
        except BaseException as error:  # noqa: BLE001  # raised by who waits
            making.set_exception(error)

    async def aclose(self) -> None:
        """Close those of the running loop, the last made first."""
        here = asyncio.get_running_loop()
        until = here.time() + self._close_seconds
        for key in [key for key in self._live if key[0] is here][::-1]:
            await self._live.pop(key).close(until - here.time())

    def run(self, body: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on a loop that is kept for the next; in a thread without one."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._run_alone(body), context=copy_context())

    def close(self) -> None:
        """Close that loop, and what was made on it."""
        if self._runner is not None:
            self._runner.run(self.aclose())
            self._runner.close()

    async def _run_alone(self, body: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await body
        finally:
            kept = {asyncio.current_task(), *(live.task for live in self._live.values())}
            if left := asyncio.all_tasks() - kept:
                for task in left:
                    task.cancel()
                await asyncio.wait(left)


def _look(value: asyncio.Future[Any]) -> None:
    if not value.cancelled():
        value.exception()
