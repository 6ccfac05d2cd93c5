"""A blocking call off the event loop, in a thread that does not keep the process from ending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable


async def run_off_loop(body: Callable[[], None], end: Callable[[], None]) -> None:
    """Run `body` in a thread; each cancellation calls `end`, and is raised when the body ended."""
    living = asyncio.ensure_future(in_own_thread(body, name="mainspring-worker"))
    cancelled: asyncio.CancelledError | None = None
    while not living.done():
        try:
            await asyncio.wait([living])
        except asyncio.CancelledError as error:
            cancelled = error
            end()
    if cancelled is not None:
        living.exception()  # looked at, so that asyncio does not complain
        raise cancelled
    living.result()
