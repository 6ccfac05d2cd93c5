"""Tasks over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException

from mainspring import AsyncTaskWorker, task
from mainspring.web import create_task_worker_router


@task("rest.add")
async def add(first, second=1):
    return first + second


@task("rest.fail")
async def fail():
    raise ValueError("no good \udcff")


@task("rest.hold")
async def hold(seconds=60, progress_callback=None):
    progress_callback(0.5)
    await asyncio.sleep(seconds)
    return "held"


@task("rest.hidden", http=False)
async def hidden():
    return "secret"


class Odd:
    def __repr__(self):
        raise RuntimeError


@task("rest.odd")
async def odd(which):
    deep = []
    for _ in range(2000):
        deep = [deep]
    return {
        "object": {"it": Odd()},
        "nan": [float("nan"), float("inf")],
        "set": {1},
        "keys": {1: 2},
        "surrogate": "\udcff",
        "number": 10**5000,
        "deep": deep,
        "bytes": b"\xff",
    }[which]


@pytest.fixture
def client(serve):
    server = serve(AsyncTaskWorker(max_workers=2, max_queue_size=3))
    with httpx.Client(base_url=server.url, timeout=30) as client:
        client.server = server
        yield client


def start(client, task_type="rest.add", **body):
    return client.post("/tasks", json={"task_type": task_type, **body})


def ended(client, task_id):
    deadline = time.monotonic() + 10
    while True:
        body = client.get(f"/tasks/{task_id}").json()
        if body["completed_at"]:
            return body
        assert time.monotonic() < deadline, body
        time.sleep(0.005)


def running(client, task_id):
    deadline = time.monotonic() + 10
    while client.get(f"/tasks/{task_id}").json()["progress"] != 0.5:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_task_is_started_and_its_result_read(client):
    response = start(client, params={"first": 2, "second": 3}, metadata={"a": 1}, priority=-2)
    assert response.status_code == 201
    assert response.json()["status"] == "pending"
    body = ended(client, response.json()["id"])
    assert (body["status"], body["result"], body["progress"]) == ("completed", 5, 1.0)
    assert (body["task_type"], body["metadata"], body["priority"]) == (
        "rest.add",
        {"a": 1, "task_type": "rest.add"},
        -2,
    )
    moments = [
        datetime.fromisoformat(body[name + "_at"]) for name in ("created", "started", "completed")
    ]
    assert moments == sorted(moments)
    assert all(moment.tzinfo for moment in moments)


def test_tasks_of_a_pool_have_no_tags(client):
    for refused, field in (
        (start(client, params={"first": 2, "second": 3}, tags=["a"]), "tags"),
        (client.get("/tasks", params={"tag": "a"}), "tag"),
    ):
        assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_a_failure_is_told_and_is_no_error_of_the_server(client):
    body = ended(client, start(client, "rest.fail").json()["id"])
    assert (body["status"], body["error"], body["result"]) == ("failed", "no good \\udcff", None)


@pytest.mark.parametrize(
    "which", ["object", "nan", "set", "keys", "surrogate", "number", "deep", "bytes"]
)
def test_a_result_that_json_can_not_hold_is_a_placeholder(client, which):
    task_id = start(client, "rest.odd", params={"which": which}).json()["id"]
    body = ended(client, task_id)
    assert body["status"] == "completed"
    assert "$type" in json.dumps(body["result"]) or body["result"] == "\\udcff"
    assert client.get("/tasks").status_code == 200


def test_a_running_task_is_cancelled_and_a_finished_one_is_a_conflict(client):
    task_id = start(client, "rest.hold").json()["id"]
    running(client, task_id)
    assert client.delete(f"/tasks/{task_id}").status_code == 204
    assert client.get(f"/tasks/{task_id}").json()["status"] == "cancelled"
    response = client.delete(f"/tasks/{task_id}")
    assert (response.status_code, response.json()["code"]) == (409, "finished")


def test_what_does_not_exist_is_not_found(client):
    for method in ("GET", "DELETE"):
        response = client.request(method, "/tasks/nobody")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert client.get("/tasks/nobody/events").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"task_type": "nothing"}, "task_type"),
        ({"task_type": "rest.hidden"}, "task_type"),
        ({"task_type": "rest.add"}, "params.first"),
        ({"task_type": "rest.add", "params": {"first": 1, "third": 2}}, "params.third"),
        (
            {"task_type": "rest.hold", "params": {"progress_callback": 1}},
            "params.progress_callback",
        ),
        ({"task_type": "rest.add", "params": {"first": 1}, "priority": "high"}, "priority"),
        ({"task_type": "rest.add", "params": {"first": 1}, "timeout": 0}, "timeout"),
        ({"task_type": "rest.add", "params": {"first": 1}, "task_id": "a/b"}, "task_id"),
        ({"task_type": "rest.add", "params": {"first": 1}, "task_id": "types"}, "task_id"),
        ({"task_type": "rest.add", "params": {"first": 1}, "task_id": "."}, "task_id"),
        ({"task_type": "rest.add", "params": {"first": 1}, "task_id": ".."}, "task_id"),
        ({"task_type": "rest.add", "params": [1]}, "params"),
        ({"task_type": "rest.add", "params": {"first": 1}, "typo": 1}, "typo"),
        ({}, "task_type"),
    ],
)
def test_what_can_not_be_started_is_told_with_the_field(client, body, field):
    response = client.post("/tasks", json=body)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert set(response.json()) - {"errors"} == {"code", "detail", "field"}
    assert client.get("/tasks").json()["count"] == 0


@pytest.mark.parametrize(
    "text", ["{", '{"task_type": NaN}', "[" * 100_000, '{"priority": ' + "9" * 5000 + "}", ""]
)
def test_a_body_that_can_not_be_read_is_the_clients_error(client, text):
    response = client.post("/tasks", content=text, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}
    assert set(response.json()) - {"errors"} == {"code", "detail", "field"}


def test_values_that_only_our_json_reads_are_shown_and_no_error(client):
    params = '{"first": NaN, "second": Infinity}'
    text = f'{{"task_type": "rest.add", "params": {params}, "metadata": {{"a": NaN}}}}'
    response = client.post("/tasks", content=text, headers={"content-type": "application/json"})
    assert response.status_code == 201
    assert response.json()["metadata"]["a"]["$type"] == "float"


def test_an_id_is_given_once(client):
    assert start(client, params={"first": 1}, task_id="mine").json()["id"] == "mine"
    response = start(client, params={"first": 1}, task_id="mine")
    assert (response.status_code, response.json()["field"]) == (409, "task_id")


def test_a_full_line_is_told_and_nobody_waits(client):
    ids = [start(client, "rest.hold").json()["id"] for _ in range(2)]
    for task_id in ids:
        running(client, task_id)
    assert [start(client, "rest.hold").status_code for _ in range(4)] == [201, 201, 201, 429]


def test_tasks_are_listed_page_by_page_newest_first(client):
    ids = []
    for number in range(7):
        ids.append(start(client, params={"first": number}).json()["id"])
        ended(client, ids[-1])
    seen, cursor = [], None
    while True:
        parameters = {"limit": 3, "status": "completed", **({"cursor": cursor} if cursor else {})}
        page = client.get("/tasks", params=parameters).json()
        assert page["count"] == len(page["tasks"])
        seen += [one["id"] for one in page["tasks"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == ids[::-1]
    oldest = client.get("/tasks", params={"limit": 3, "order": "oldest"}).json()
    assert [one["id"] for one in oldest["tasks"]] == ids[:3]
    query = {"limit": 3, "order": "oldest", "cursor": oldest["next_cursor"]}
    assert [one["id"] for one in client.get("/tasks", params=query).json()["tasks"]] == ids[3:6]
    last = client.get("/tasks", params={"limit": 3, "page": 3}).json()
    assert ([one["id"] for one in last["tasks"]], last["next_cursor"]) == ([ids[0]], None)
    assert client.get("/tasks", params={"status": "failed"}).json()["tasks"] == []
    assert client.get("/tasks", params={"older_than_minutes": 1}).json()["count"] == 0
    assert client.get("/tasks", params={"older_than_minutes": 0}).json()["count"] == 7


@pytest.mark.parametrize(
    "parameters",
    [{"status": "lost"}, {"limit": 0}, {"limit": 1001}, {"older_than_minutes": -1},
     {"older_than_minutes": "nan"}, {"older_than_minutes": 1e308}, {"cursor": "nonsense"},
     {"cursor": "MDAwMS0wMS0wMSB4"}, {"cursor": "ÿ"}],
)  # fmt: skip
def test_a_list_that_makes_no_sense_is_refused(client, parameters):
    response = client.get("/tasks", params=parameters)
    assert response.status_code in {200, 422}
    assert response.status_code == 422 or parameters == {"cursor": "MDAwMS0wMS0wMSB4"}


def test_types_are_those_that_may_be_started(client):
    types = client.get("/tasks/types").json()["task_types"]
    assert {"rest.add", "rest.fail"} <= set(types)
    assert "rest.hidden" not in types


def test_the_router_can_be_narrowed_prefixed_and_tagged(serve):
    worker = AsyncTaskWorker()
    server = serve(worker, prefix="/api/v1", tags=["background-tasks"], allow=["rest.add"])
    with httpx.Client(base_url=server.url + "/api/v1") as client:
        assert client.get("/tasks/types").json() == {"task_types": ["rest.add"]}
        assert start(client, "rest.fail").status_code == 422
        assert start(client, params={"first": 1}).status_code == 201
        schema = client.get(server.url + "/openapi.json").json()
        tags = {
            tuple(route["tags"]) for path in schema["paths"].values() for route in path.values()
        }
        assert tags == {("background-tasks",)}


def test_health_tells_of_a_worker_that_runs_and_of_one_that_is_stopped(serve):
    worker = AsyncTaskWorker(max_workers=4)
    app = FastAPI()
    app.include_router(create_task_worker_router(worker))
    app.add_api_route("/start", worker.start, methods=["POST"])
    app.add_api_route("/stop", worker.stop, methods=["POST"])
    with httpx.Client(base_url=serve(app).url, timeout=30) as client:
        assert client.get("/health").status_code == 503
        assert start(client, params={"first": 1}).status_code == 503
        client.post("/start")
        body = client.get("/health").json()
        assert (body["status"], body["worker_count"], body["queue_size"]) == ("ok", 4, 0)
        task_id = start(client, params={"first": 1}).json()["id"]
        ended(client, task_id)
        client.post("/stop")
        assert client.get("/health").status_code == 503
        response = start(client, params={"first": 1})
        assert (response.status_code, response.json()["code"]) == (503, "not_running")
        assert client.get(f"/tasks/{task_id}").status_code == 200


def test_a_body_that_is_too_large_is_413_announced_or_not(client):
    big = b'{"task_type": "rest.add", "params": {"first": "' + b"x" * (1 << 20) + b'"}}'
    kind = {"content-type": "application/json"}
    for content in (big, iter([big[:1000], big[1000:]])):
        response = client.post("/tasks", content=content, headers=kind)
        assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_those_who_may_not_are_refused_everywhere(serve):
    async def authorize(authorization: str = Header("")):
        if authorization != "Bearer good":
            raise HTTPException(401, "who are you?", headers={"WWW-Authenticate": "Bearer"})

    server = serve(AsyncTaskWorker(), authorize=authorize)
    with httpx.Client(base_url=server.url) as client:
        for method, path in [
            ("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/tasks/x"), ("DELETE", "/tasks/x"),
            ("GET", "/tasks/x/events"), ("GET", "/tasks/types"), ("GET", "/health"),
        ]:  # fmt: skip
            response = client.request(method, path)
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
        client.headers["authorization"] = "Bearer good"
        assert client.get("/tasks").status_code == 200


def test_a_form_of_another_site_starts_nothing(client):
    body = json.dumps({"task_type": "rest.add", "params": {"first": 1}})
    response = client.post("/tasks", content=body, headers={"content-type": "text/plain"})
    assert response.status_code == 422
    assert client.get("/tasks").json()["count"] == 0


def events(client, task_id, last=None):
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", f"/tasks/{task_id}/events", headers=headers) as response:
        if response.status_code == 204:
            return None
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


def test_events_tell_state_progress_and_result_and_resume(client):
    task_id = start(client, "rest.hold", params={"seconds": 0.5}).json()["id"]
    told = events(client, task_id)
    kinds = [event["event"] for event in told]
    assert kinds[-1] == "result"
    assert kinds[0] == "state"
    assert {json.loads(event["data"])["progress"] for event in told} >= {0.5, 1.0}
    assert json.loads(told[-1]["data"])["result"] == "held"
    assert [event["event"] for event in events(client, task_id)] == ["result"]
    assert [event["event"] for event in events(client, task_id, "running-500")] == ["result"]
    assert events(client, task_id, told[-1]["id"]) is None


def test_clients_that_never_read_hold_up_nobody(client):
    task_id = start(client, "rest.hold", params={"seconds": 600}).json()["id"]
    deaf = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", client.server.port), 10)
        connection.sendall(f"GET /tasks/{task_id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        deaf.append(connection)
    began = time.monotonic()
    for number in range(20):
        assert ended(client, start(client, params={"first": number}).json()["id"])["result"]
    assert time.monotonic() - began < 10
    assert client.delete(f"/tasks/{task_id}").status_code == 204
    for connection in deaf:
        connection.close()


def test_every_error_has_one_schema_that_the_document_lists(client):
    schema = client.get("/openapi.json").json()
    problem = {"$ref": "#/components/schemas/Problem"}
    for path in schema["paths"].values():
        for route in path.values():
            for status, response in route["responses"].items():
                if status >= "400":
                    assert response["content"]["application/json"]["schema"] == problem
    assert "HTTPValidationError" not in schema["components"]["schemas"]
