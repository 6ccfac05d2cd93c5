"""Fuzzing from the OpenAPI document: nothing a client sends is an error of the server."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # pydantic reads annotations at run time
from typing import Annotated
from uuid import UUID  # noqa: TC003  # as above

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel, Field

from mainspring import AsyncTaskWorker, Queue, task
from mainspring.web import create_task_worker_router

TYPES = ("fuzz.echo", "fuzz.odd", "fuzz.typed")  # other tests of this process register some, too
OPERATIONS = 7
WITH_PARAMETERS = 5
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.content_type_conformance,
]


@task("fuzz.echo")
async def echo(value=None, other=None, **rest):
    return {"value": value, "other": other, "rest": rest}


class Order(BaseModel):
    articles: dict[str, Annotated[int, Field(ge=1)]]
    when: datetime | None = None


@task("fuzz.typed")
async def typed(order: Order, key: UUID, count: int = 1):
    return key


@task("fuzz.odd")
def odd():
    return object()


def operations(url):
    schema = schemathesis.openapi.from_url(url + "/openapi.json")
    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.parametrize("requests", [210, pytest.param(2_000, marks=pytest.mark.long)])
def test_many_requests_find_no_error_of_the_server(serve, requests):
    worker = AsyncTaskWorker(max_workers=4, max_queue_size=50, max_finished=200)
    server = serve(worker, allow=TYPES)
    found = operations(server.url)
    assert len(found) == OPERATIONS
    with httpx.Client(base_url=server.url) as client:
        for number in range(5):
            body = {"task_type": "fuzz.echo", "params": {"value": number}, "task_id": f"{number}"}
            assert client.post("/tasks", json=body).status_code == 201
    sent = [fuzz(operation, requests // WITH_PARAMETERS) for operation in found]
    assert sum(sent) >= requests


def test_a_queue_behind_the_router_makes_no_error_of_the_server(serve):
    queue = Queue("memory://", grace=5)
    queue.task(name="fuzz.echo", http=True)(echo)
    queue.task(name="fuzz.typed", http=True, retries=0)(typed)
    queue.task(name="fuzz.odd", http=True, retries=0)(odd)
    app = FastAPI()
    app.include_router(create_task_worker_router(queue))
    with queue.worker():
        for operation in operations(serve(app).url):
            fuzz(operation, 30)
    queue.close()


def fuzz(operation, examples):
    sent = 0

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        nonlocal sent
        sent += 1
        case.call_and_validate(checks=CHECKS)

    send()
    return sent
