"""What Python has: coroutines and threads that wait, and its thread pool; the others' floor."""

from __future__ import annotations

import asyncio
import inspect
import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

version = f"Python {platform.python_version()}"
loop = asyncio.new_event_loop()
pools: list[ThreadPoolExecutor] = []


def prepare(threads: int) -> None:
    threading.Thread(target=loop.run_forever, daemon=True).start()
    pools.append(ThreadPoolExecutor(threads))


@dataclass(slots=True)
class Timer:
    """Awaits a target on a grid."""

    target: Callable[[], Any]
    interval: float
    running: list[Future[None]] = field(default_factory=list)

    def start(self) -> None:
        self.running.append(asyncio.run_coroutine_threadsafe(self.tick(), loop))

    async def tick(self) -> None:
        moment = loop.time()
        while await self.target() is not False:
            moment += self.interval
            await asyncio.sleep(moment - loop.time())


@dataclass(slots=True)
class Listener:
    """Awaits a target whenever an event is set."""

    target: Callable[[], Any]
    event: asyncio.Event = field(default_factory=asyncio.Event)
    running: list[Future[None]] = field(default_factory=list)

    def start(self) -> None:
        self.running.append(asyncio.run_coroutine_threadsafe(self.listen(), loop))

    async def listen(self) -> None:
        while await self.event.wait():
            self.event.clear()
            await self.target()

    def trigger_threadsafe(self, **_: Any) -> None:
        loop.call_soon_threadsafe(self.event.set)


@dataclass(slots=True)
class ThreadListener:
    """Calls a target, in a thread of its own, whenever an event is set."""

    target: Callable[[], Any]
    event: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while self.event.wait():
            self.event.clear()
            self.target()

    def trigger_threadsafe(self, **_: Any) -> None:
        self.event.set()


def make(
    target: Callable[..., Any], *, interval: float = 0.0, event: bool = False, **_: Any
) -> Timer | Listener | ThreadListener:
    if not event:
        return Timer(target, interval)
    return Listener(target) if inspect.iscoroutinefunction(target) else ThreadListener(target)


def spawn(function: Callable[[], Any]) -> Future[Any]:
    return pools[0].submit(function)
