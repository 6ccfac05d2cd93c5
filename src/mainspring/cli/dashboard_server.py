"""The server of `mainspring dashboard`: uvicorn, stopped by our signals."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from mainspring.supervision.stop_signals import StopSignals

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from starlette.types import ASGIApp

GRACE = 2
"""Seconds that open requests get at a stop."""


class DashboardServer(uvicorn.Server):
    """Serves an application until a signal asks it to stop; a second one ends it at once."""

    def __init__(self, app: ASGIApp) -> None:
        # No access log: the first address has the token in it.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at our signals while the block runs."""
        with StopSignals(self._stop, self._stop_now):
            yield

    def run_on(self, listening: socket.socket) -> None:
        """Serve on a socket that listens already."""
        self.run(sockets=[listening])

    def _stop(self) -> None:
        self.should_exit = True

    def _stop_now(self) -> None:
        self.force_exit = True
