"""The HTTP server of a worker: `/metrics`, `/livez`, `/readyz`, each answered in a thread.

Nothing of it asks the store: whatever a store does, a probe and a scrape are answered at once.
"""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from prometheus_client.exposition import choose_encoder

from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry

_log = logging.getLogger("mainspring.worker")

REQUEST_SECONDS = 5.0
"""Seconds in which a request must have come in whole."""

LOOK_SECONDS = 1.0
"""Seconds between two looks whether it was closed, where nothing ends the wait for a request."""


Answer = tuple[HTTPStatus, str, bytes]


class WorkerHealth(Protocol):
    """The health of a worker: a sentence for each thing that is not as it should be."""

    def stuck(self) -> Sequence[str]:
        """Return what does not turn."""
        ...

    def unready(self) -> Sequence[str]:
        """Return why it takes no jobs."""
        ...


class MetricsServer(ThreadingHTTPServer):
    """Listens from the moment it is made; a service that answers until closed."""

    name = "metrics server"
    timeout = LOOK_SECONDS
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, health: WorkerHealth
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry = registry
        self.health = health
        self._closed = False
        super().__init__(address, MetricsHandler)

    def server_bind(self) -> None:
        """Bind, without asking a name server for our own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # the base's
        """Log what a request failed of; a client that went away is none of our business."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _log.error("a request from %s failed", client_address, exc_info=error)

    async def run(self, started: Callable[[], None]) -> None:
        """Answer until closed."""
        await in_own_thread(self._serve, name="mainspring-metrics", began=started)

    def close(self) -> None:
        """End it; from any thread."""
        self._closed = True
        with suppress(OSError):  # ends the wait for a request, where the system does that
            self.socket.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            while not self._closed:
                self.handle_request()
        finally:
            self.server_close()


class MetricsHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = REQUEST_SECONDS
    server_version = "mainspring"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Log nothing: probes come every few seconds."""

    def _answer(self, *, with_body: bool) -> None:
        page = self._PAGES.get(self.path.partition("?")[0])
        if page is None:
            status, kind, body = _plain(HTTPStatus.NOT_FOUND, "/metrics, /livez and /readyz")
        else:
            status, kind, body = page(self)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    @property
    def _ours(self) -> MetricsServer:
        return cast("MetricsServer", self.server)

    def _metrics(self) -> Answer:
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        return HTTPStatus.OK, kind, encode(self._ours.registry)

    def _livez(self) -> Answer:
        return _verdict(self._ours.health.stuck())

    def _readyz(self) -> Answer:
        return _verdict(self._ours.health.unready())

    _PAGES: ClassVar = {"/metrics": _metrics, "/livez": _livez, "/readyz": _readyz}


def _verdict(wrong: Sequence[str]) -> Answer:
    if wrong:
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(wrong))
    return _plain(HTTPStatus.OK, "ok")


def _plain(status: HTTPStatus, text: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()
