"""A server on a free loopback port, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from mainspring.web import create_task_worker_router


class Server:
    """An app that is served until the block ends."""

    def __init__(self, app):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.should_exit = True
        self._thread.join(15)
        self._socket.close()
        assert not self._thread.is_alive(), "the server did not stop"


def app_of(worker, **options):
    @asynccontextmanager
    async def lifespan(app):
        async with worker:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(create_task_worker_router(worker, **options))
    return app


@pytest.fixture
def serve():
    """Serve an app, or a worker by the router; returns the server."""
    with contextlib.ExitStack() as servers:

        def start(app_or_worker, **options):
            is_app = isinstance(app_or_worker, FastAPI)
            app = app_or_worker if is_app else app_of(app_or_worker, **options)
            return servers.enter_context(Server(app))

        yield start
