"""Equal calls at once: the first runs, the others wait for what it gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mainspring.cache.separate import separate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Flight:
    """A call under way. It ends with a value, an error, or neither: then others must run theirs."""

    __slots__ = ("error", "followers", "landed", "shared", "value")

    def __init__(self) -> None:
        self.landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.followers = 0
        self.value: Any = None
        self.shared = False
        self.error: Exception | None = None

    def share(self, value: Any) -> None:
        """Keep a copy for the followers, before the leader's caller can change the value."""
        try:
            self.value = separate(value) if self.followers else None
            self.shared = True
        except Exception:  # noqa: BLE001, S110  # no copies of it can be made: each runs on its own
            pass


class SingleFlight:
    """Calls under way by key; for one event loop."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    async def run(self, key: str, body: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """Return the body's value, and whether it was another caller's that ran.

        An error is shared, too. When who leads is cancelled, the next in line runs the body.
        """
        while (flight := self._flights.get(key)) is not None:
            flight.followers += 1
            # `wait` leaves the flight alone when this caller is cancelled.
            await asyncio.wait([flight.landed])
            if flight.error is not None:
                raise flight.error
            if flight.shared:
                return separate(flight.value), True
        return await self._lead(key, body), False

    async def _lead(self, key: str, body: Callable[[], Awaitable[Any]]) -> Any:
        flight = self._flights[key] = Flight()
        try:
            value = await body()
            flight.share(value)
        except Exception as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.landed.set_result(None)
        return value
