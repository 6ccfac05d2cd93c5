"""Fuzzing from the OpenAPI document: nothing a client sends is an error of the server."""

from __future__ import annotations

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from mainspring import AsyncTaskWorker, task

REQUESTS = 2_000
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


@task("fuzz.odd")
def odd():
    return object()


def operations(url):
    schema = schemathesis.openapi.from_url(url + "/openapi.json")
    return [result.ok() for result in schema.get_all_operations()]


def test_two_thousand_requests_find_no_error_of_the_server(serve):
    server = serve(AsyncTaskWorker(max_workers=4, max_queue_size=50, max_finished=200))
    found = operations(server.url)
    assert len(found) == OPERATIONS
    with httpx.Client(base_url=server.url) as client:
        for number in range(5):
            body = {"task_type": "fuzz.echo", "params": {"value": number}, "task_id": f"{number}"}
            assert client.post("/tasks", json=body).status_code == 201
    sent = [fuzz(operation, REQUESTS // WITH_PARAMETERS) for operation in found]
    assert sum(sent) >= REQUESTS


def fuzz(operation, examples):
    sent = 0

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
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
