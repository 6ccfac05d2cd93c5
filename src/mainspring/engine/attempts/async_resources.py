"""Resources that belong to an event loop: each lives in a task of its own, from start to end.

So its two ends are in one task, as cancel scopes and task groups ask, and no body that is cancelled
takes it along.
"""

from __future__ import annotations

import asyncio
import logging
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

    async def close(self) -> None:
        """End it, and wait for that."""
        self._closing.set()
        await asyncio.wait([self.task])

    async def _live(self) -> None:
        try:
            async with self._resource.manager() as value:
                self.value.set_result(value)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001  # the user's own
            if self.value.done():
                log.warning(
                    "resource %s went wrong as it was closed: %r", self._resource.name, error
                )
            else:
                self._resource.annotate(error)
                self.value.set_exception(error)
        finally:
            self.value.cancel()


class AsyncResources:
    """Keeps them apart by loop; each method is for the running one.

    `get_blocking` returns the value of a resource that is no loop's.
    """

    def __init__(self, get_blocking: Callable[[Resource], Any]) -> None:
        self._get_blocking = get_blocking
        self._live: dict[tuple[asyncio.AbstractEventLoop, Callable[..., Any]], LiveResource] = {}
        self._runner: asyncio.Runner | None = None

    async def get(self, resource: Resource) -> Any:
        """Return the value, made if it was not yet. Raises what making it raises."""
        if not resource.is_async:
            return await asyncio.to_thread(self._get_blocking, resource)
        key = asyncio.get_running_loop(), resource.function
        live = self._live.get(key)
        if live is None or live.task.done():
            live = self._live[key] = LiveResource(resource)
        return await asyncio.shield(live.value)

    async def aclose(self) -> None:
        """Close those of the running loop, the last made first."""
        here = asyncio.get_running_loop()
        for key in [key for key in self._live if key[0] is here][::-1]:
            await self._live.pop(key).close()

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
