"""The resources of one worker, or of one child process: made at first need, closed at its end.

Those that are made on an event loop are kept by `async_resources`.
"""

from __future__ import annotations

import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.engine.attempts.async_resources import AsyncResources
    from mainspring.engine.attempts.pipeline import Call
    from mainspring.model.resource import Injected, Resource

log = logging.getLogger("mainspring.engine")

CLOSE_SECONDS = 5.0
"""Seconds that those of a loop, and then the others, have together to be closed."""

_NONE: Mapping[Callable[..., Any], object] = {}


class Resources:
    """Values by the function that makes them. Thread-safe.

    `overrides` stand in for those that would be made.
    """

    def __init__(self, overrides: Mapping[Callable[..., Any], object] = _NONE) -> None:
        self._overrides = overrides
        self._values: dict[Callable[..., Any], Any] = {}
        self._locks: dict[Callable[..., Any], threading.Lock] = {}
        self._managers: list[tuple[str, Any]] = []
        self._async: AsyncResources | None = None

    def get(self, resource: Resource) -> Any:
        """Return the value; made now if it was not yet. Raises what making it raises."""
        function = resource.function
        if function in self._overrides:
            return self._overrides[function]
        if function in self._values:
            return self._values[function]
        with self._locks.setdefault(function, threading.Lock()):
            if function not in self._values:
                self._values[function] = self._make(resource)
            return self._values[function]

    def _make(self, resource: Resource) -> Any:
        try:
            manager = resource.manager()
            value = manager.__enter__()
        except BaseException as error:
            resource.annotate(error)
            raise
        self._managers.append((resource.name, manager))
        return value

    async def aget(self, resource: Resource) -> Any:
        """Return the value, without blocking the loop."""
        function = resource.function
        if function in self._overrides:
            return self._overrides[function]
        if function in self._values:
            return self._values[function]
        return await self.on_loops.get(resource)

    @property
    def on_loops(self) -> AsyncResources:
        """The resources that are made on an event loop."""
        if self._async is None:
            from mainspring.engine.attempts.async_resources import (  # noqa: PLC0415  # a lazy door
                AsyncResources,
            )

            self._async = AsyncResources(self.get, close_seconds=CLOSE_SECONDS)
        return self._async

    async def aclose(self) -> None:
        """Close what was made on the running loop."""
        if self._async is not None:
            await self._async.aclose()

    def close(self) -> None:
        """Close the others, the last made first; what takes longer than it may is left behind."""
        if not self._managers:
            return
        thread = threading.Thread(
            target=self._close_blocking, name="mainspring-resources", daemon=True
        )
        thread.start()
        thread.join(CLOSE_SECONDS)
        if thread.is_alive():
            log.warning("a resource has not closed within %g s, and is left behind", CLOSE_SECONDS)

    def close_here(self) -> None:
        """Close all of them in this thread, where no loop runs; it takes as long as it takes."""
        if self._async is not None:
            self._async.close()
        self._close_blocking()

    def _close_blocking(self) -> None:
        self._values.clear()
        while self._managers:
            name, manager = self._managers.pop()
            try:
                manager.__exit__(None, None, None)
            except BaseException as error:  # noqa: BLE001  # the user's own; the others are closed, too
                log.warning("resource %s went wrong as it was closed: %r", name, error)


def supplied(resources: Resources, injected: Injected, call: Call) -> Call:
    """Return the call of a body that is given its resources; a coroutine's is one again."""
    run = _arun if inspect.iscoroutinefunction(call[0]) else _run
    return run, (resources, injected, call), {}


def _run(resources: Resources, injected: Injected, call: Call) -> Any:
    function, args, kwargs = call
    given = {name: resources.get(one) for name, one in injected.items()}
    return function(*args, **kwargs, **given)


async def _arun(resources: Resources, injected: Injected, call: Call) -> Any:
    function, args, kwargs = call
    given = {name: await resources.aget(one) for name, one in injected.items()}
    return await function(*args, **kwargs, **given)
