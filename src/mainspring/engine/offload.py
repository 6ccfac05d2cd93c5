"""A blocking call off the event loop, in a thread that does not keep the process from ending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.supervision.own_thread import live_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable


async def run_off_loop(body: Callable[[], None], end: Callable[[], None]) -> None:
    """Run `body` in a thread; a cancellation calls `end`, waits for the body, and goes on."""
    living = asyncio.ensure_future(live_in_thread(body, name="mainspring-worker"))
    try:
        await asyncio.shield(living)
    except asyncio.CancelledError:
        end()
        await asyncio.wait([living])
        raise
