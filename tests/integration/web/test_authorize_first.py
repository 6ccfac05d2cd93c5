"""Nothing of a request is looked at before `authorize` has let it in, on any route."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.routing import APIRoute

from mainspring import AsyncTaskWorker, Queue
from mainspring.web import create_task_worker_router
from mainspring.web.pool_port import PoolPort
from mainspring.web.queue_port import QueuePort

JSON = {"content-type": "application/json"}
BODIES = {
    "none": {},
    "malformed": {"content": b"{", "headers": JSON},
    "not UTF-8": {"content": b"\xff", "headers": JSON},
    "another kind": {"content": b"x", "headers": {"content-type": "text/plain"}},
    "of other fields": {"json": {"nothing": "known"}},
    "deep": {"content": b"[" * 100_000, "headers": JSON},
    "large": {"content": b"x" * (2 << 20), "headers": JSON},
    "announced as large": {"content": b"{}", "headers": {**JSON, "content-length": "99999999"}},
}


def refuse():
    raise HTTPException(401, "who are you?")


def router_of(worker):
    return create_task_worker_router(worker, authorize=refuse)


def routes():
    found = [route for route in router_of(AsyncTaskWorker()).routes if isinstance(route, APIRoute)]
    return sorted((method, route.path) for route in found for method in route.methods)


@pytest.fixture(params=["pool", "queue"])
def ask(request, monkeypatch):
    """Make a request of an app whose worker must not be asked anything."""
    app = FastAPI()
    app.include_router(
        router_of(AsyncTaskWorker() if request.param == "pool" else Queue("memory://"))
    )
    port = PoolPort if request.param == "pool" else QueuePort
    for name in ("arguments", "types", "start", "get", "page", "cancel", "wait", "health"):
        monkeypatch.setattr(port, name, None)

    def ask(method, path, **options):
        async def send():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    return ask


@pytest.mark.parametrize(("method", "path"), routes())
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_who_may_not_is_told_so_whatever_was_sent(ask, method, path, body):
    path = path.replace("{task_id}", "some") + "?limit=none&status=odd&older_than_minutes=nan"
    answer = ask(method, path, **body)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_every_route_is_swept():
    assert len(routes()) == 8
