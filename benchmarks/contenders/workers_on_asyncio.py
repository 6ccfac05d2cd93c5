"""What Python has: coroutines that sleep, and its thread pool; the floor of the others."""

from __future__ import annotations

import asyncio
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


def make(target: Callable[..., Any], *, interval: float, **_: Any) -> Timer:
    return Timer(target, interval)


def spawn(function: Callable[[], Any]) -> Future[Any]:
    return pools[0].submit(function)
