"""Arguments over HTTP are what the function's annotations say, and the document says so."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal  # the framework reads annotations at run time
from enum import StrEnum
from pathlib import Path  # noqa: TC003  # as above
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from mainspring import AsyncTaskWorker, Queue, injected, task
from mainspring.errors import StoreBusy
from mainspring.web import create_task_worker_router
from mainspring.web.arguments import TaskArguments

if TYPE_CHECKING:
    from socket import socket


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    name: str
    price: Decimal = Field(gt=0)


class Order(BaseModel):
    items: list[Item]
    size: Size = Size.SMALL
    parent: Order | None = None


@dataclass
class Place:
    street: str
    number: int = 1


class Database:
    pass


ORDER = {"items": [{"name": "nail", "price": "0.5"}], "size": "large"}


def place(order: Order, to: Place, count: Annotated[int, Field(ge=1)] = 1, *, when: datetime):
    """Place an order.

    It is sent later.
    """
    return type(order).__name__, order.items[0].price, order.size, to, count, when


PARAMS = {"order": ORDER, "to": {"street": "a"}, "count": "2", "when": "2030-01-31T08:00:00Z"}
PLACED = (
    "Order",
    "0.5",
    Size.LARGE,
    Place("a"),
    2,
    datetime(2030, 1, 31, 8, tzinfo=UTC),
)


@task("typed.place")
async def place_in_pool(order: Order, to: Place, count: int = 1, *, when: datetime):
    return place(order, to, count, when=when)


@task("typed.hold")
async def hold():
    await asyncio.Event().wait()


class Rest:
    """Asks an app in this process; what `call` is given runs on the loop of the app."""

    def __init__(self, worker, **options):
        self.app = FastAPI()
        self.app.include_router(create_task_worker_router(worker, prefix="/api", **options))

    def __call__(self, method, path, **how):
        return asyncio.run(self.ask(method, path, **how))

    async def ask(self, method, path, **how):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, f"/api{path}", **how)

    def start(self, name, **params):
        return self("POST", "/tasks", json={"task_type": name, "params": params})

    def schema(self):
        (body,) = self.app.openapi()["paths"]["/api/tasks"]["post"]["requestBody"][
            "content"
        ].values()
        return body["schema"]


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=1)
    queue.task(name="place", http=True)(place)
    yield queue
    queue.close()


def test_a_durable_job_has_models_and_what_else_its_annotations_say(queue):
    started = Rest(queue).start("place", **PARAMS)
    assert started.status_code == 201
    job = queue.get_job(started.json()["id"])
    (to, order, when) = (job.kwargs[name] for name in ("to", "order", "when"))
    assert (to, when) == (PLACED[3], PLACED[5])
    assert order == Order.model_validate(ORDER)
    with queue.worker():
        assert [str(one) if isinstance(one, Decimal) else one for one in job.result(10)] == list(
            PLACED
        )


def test_a_task_of_a_pool_has_models_and_what_else_its_annotations_say():
    async def run():
        async with AsyncTaskWorker(max_workers=1) as worker:
            rest = Rest(worker)
            body = {"task_type": "typed.place", "params": PARAMS}
            started = await rest.ask("POST", "/tasks", json=body)
            return await worker.get_task_future(started.json()["id"])

    placed = asyncio.run(run())
    assert (placed[0], str(placed[1]), *placed[2:]) == PLACED


def test_each_wrong_argument_has_an_entry_and_nothing_is_enqueued(queue):
    wrong = {
        "order": {"items": [{"name": "nail", "price": 0}, {"price": 1}], "size": "huge"},
        "count": "many",
        "extra": 1,
        "when": "soon",
    }
    refused = Rest(queue).start("place", **wrong)
    assert refused.status_code == 422
    problem = refused.json()
    assert (problem["code"], problem["field"]) == ("wrong_params", "params.extra")
    found = {".".join(map(str, one["loc"])): one["type"] for one in problem["errors"]}
    assert found == {
        "body.params.extra": "extra_forbidden",
        "body.params.to": "missing",
        "body.params.order.items.0.price": "greater_than",
        "body.params.order.items.1.name": "missing",
        "body.params.order.size": "enum",
        "body.params.count": "int_parsing",
        "body.params.when": next(
            one["type"] for one in problem["errors"] if one["loc"][-1] == "when"
        ),
    }
    assert all(one["msg"] for one in problem["errors"])
    assert queue.stats()["pending"] == 0


def test_fields_of_the_order_itself_have_entries_too(queue):
    refused = Rest(queue)("POST", "/tasks", json={"params": 1, "timeout": 0, "typo": 1})
    fields = [one["loc"] for one in refused.json()["errors"]]
    assert fields == [["body", name] for name in ("task_type", "params", "timeout", "typo")]


def test_an_entry_does_not_repeat_what_was_sent(queue):
    refused = Rest(queue).start("place", order={"items": "hush, a secret"})
    assert "hush" not in refused.text


def test_the_document_has_a_schema_for_each_task(queue):
    rest = Rest(queue)

    @queue.task(name="tidy", http=True)  # later than the router
    def tidy(limit: int = 3, **more: int):
        pass

    queue.task(name="hidden")(tidy.task.function)
    one, two = rest.schema()["oneOf"]
    assert [one["title"], two["title"]] == ["place", "tidy"]
    assert one["description"].startswith("Place an order.")
    assert one["properties"]["task_type"]["const"] == "place"
    assert (one["required"], two["required"]) == (["task_type", "params"], ["task_type"])
    assert "task_id" not in one["properties"]
    params = one["properties"]["params"]
    assert params["required"] == ["order", "to", "when"]
    assert params["additionalProperties"] is False
    assert params["properties"]["count"] == {
        "default": 1,
        "minimum": 1,
        "title": "count",
        "type": "integer",
    }
    order = params["properties"]["order"]
    assert order["properties"]["items"]["items"]["properties"]["name"]["type"] == "string"
    assert order["properties"]["size"]["enum"] == ["small", "large"]
    assert two["properties"]["params"]["additionalProperties"]["type"] == "integer"
    assert "$ref" not in str(one)


def test_a_router_without_tasks_has_the_order_as_such():
    queue = Queue("memory://")
    assert set(Rest(queue).schema()["properties"]) >= {"task_type", "params", "task_id"}


def test_a_pool_takes_what_a_queue_does_not():
    allowed = {"typed.place", "typed.hold"}
    one, _ = Rest(AsyncTaskWorker(), allow=allowed).schema()["oneOf"]
    assert "task_id" in one["properties"]
    assert "tags" not in one["properties"]


def test_what_no_job_can_hold_comes_as_it_was_sent(queue):
    @queue.task(name="read", http=True)
    def read(path: Path, key: UUID):
        return str(path), key

    started = Rest(queue).start("read", path="/tmp/x", key="12345678123456781234567812345678")
    job = queue.get_job(started.json()["id"])
    assert job.kwargs == {"path": "/tmp/x", "key": UUID("12345678123456781234567812345678")}
    assert Rest(queue).start("read", path="x", key="y").json()["field"] == "params.key"


def test_a_resource_is_no_argument_over_http(queue):
    @queue.resource
    def database() -> Database:
        return Database()

    @queue.task(name="store", http=True)
    def store(number: int, db: Database | None = injected):
        return number

    rest = Rest(queue)
    assert rest.start("store", number=1).status_code == 201
    assert rest.start("store", number=1, db=None).json()["field"] == "params.db"


def unknown(wire: socket):
    pass


def foreign(lock: Database):
    pass


@pytest.mark.parametrize("function", [unknown, foreign])
def test_an_annotation_that_says_nothing_checks_nothing_and_is_told(queue, caplog, function):
    queue.task(name="odd", http=True)(function)
    rest = Rest(queue)
    assert "task 'odd': its argument" in caplog.text
    assert "is not checked" in caplog.text
    (name,) = function.__annotations__
    assert rest.start("odd", **{name: 1}).status_code == 201
    assert rest.start("odd").status_code == 422
    odd, _ = rest.schema()["oneOf"]
    assert odd["properties"]["params"]["properties"] == {name: {"title": name}}


def test_null_is_a_value_where_the_default_is_none(queue):
    @queue.task(name="loose", http=True)
    def loose(options: dict = None, count: int = 1):  # noqa: RUF013  # as older code has it
        pass

    rest = Rest(queue)
    assert rest.start("loose", options=None).status_code == 201
    assert rest.start("loose", count=None).json()["field"] == "params.count"


@pytest.mark.parametrize("depth", [150, 400])
def test_a_value_that_is_nested_too_deep_is_the_clients_error(queue, depth):
    order = ORDER
    for _ in range(depth):
        order = {"items": [], "parent": order}
    refused = Rest(queue).start("place", **{**PARAMS, "order": order})
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong_params")
    assert queue.stats()["pending"] == 0


def test_a_class_of_the_calling_function_is_found():
    class Local(BaseModel):
        number: int

    def take(local: Local):
        pass

    arguments = TaskArguments("take", take, None)
    assert arguments.checked({"local": {"number": "3"}}) == {"local": Local(number=3)}


def test_a_wrapper_that_takes_anything_has_the_types_of_what_is_inside(queue):
    def supplied(function):
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any):
            return function(*args, second=2, **kwargs)

        return call

    @queue.task(name="add", http=True)
    @supplied
    def add(first: int, second: int):
        return first + second

    rest = Rest(queue)
    assert rest.start("add", first="one").json()["field"] == "params.first"
    job = queue.get_job(rest.start("add", first="1").json()["id"])
    assert job.kwargs == {"first": 1}
    params = rest.schema()["oneOf"][0]["properties"]["params"]
    assert params["properties"]["first"]["type"] == "integer"
    assert "required" not in params


def test_a_task_that_is_defined_anew_has_its_new_annotations():
    async def first(value: int):
        pass

    async def second(value: float):
        pass

    rest = Rest(AsyncTaskWorker(), allow={"typed.anew"})
    for function, said in ((first, "integer"), (second, "number")):
        task("typed.anew")(function)
        rest.app.openapi_schema = None  # FastAPI keeps the document
        (value,) = rest.schema()["properties"]["params"]["properties"].values()
        assert value["type"] == said


def test_creation_says_where_the_task_is_and_when_to_ask(queue):
    rest = Rest(queue)
    started = rest.start("place", **PARAMS)
    where = started.headers["location"]
    assert where == f"/api/tasks/{started.json()['id']}"
    assert started.headers["retry-after"] == "1"
    found = rest("GET", where.removeprefix("/api"))
    assert (found.json()["id"], found.headers["retry-after"]) == (started.json()["id"], "1")
    job = queue.get_job(started.json()["id"])
    for delay, said in ((timedelta(seconds=20), {"19", "20"}), (timedelta(days=1), {"60"})):
        job.reschedule(delay=delay)
        assert rest("GET", f"/tasks/{job.id}").headers["retry-after"] in said
    job.cancel()
    assert "retry-after" not in rest("GET", f"/tasks/{job.id}").headers


def test_a_busy_store_says_when_to_try_again(queue, monkeypatch):
    def busy(*_args, **_options):
        raise StoreBusy("jobs.db", 1.0, "somebody")

    monkeypatch.setattr(queue._store, "enqueue_many", busy)
    refused = Rest(queue).start("place", **PARAMS)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


def test_a_full_pool_says_when_to_try_again():
    async def run():
        async with AsyncTaskWorker(max_workers=1, max_queue_size=1) as worker:
            rest = Rest(worker)
            body = {"task_type": "typed.hold"}
            answers = [await rest.ask("POST", "/tasks", json=body) for _ in range(4)]
            for started in worker.get_all_tasks():
                await worker.cancel_task(started.id)
            return answers

    refused = [one for one in asyncio.run(run()) if one.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


@pytest.mark.parametrize("status", [401, 403])
def test_a_body_that_never_ends_is_not_waited_for_by_who_may_not(queue, status):
    def refuse():
        raise HTTPException(status)

    async def endless():
        while True:
            yield b" " * 1_000
            await asyncio.sleep(3_600)

    async def ask():
        rest, headers = Rest(queue, authorize=refuse), {"content-type": "application/json"}
        asked = rest.ask("POST", "/tasks", content=endless(), headers=headers)
        return await asyncio.wait_for(asked, 20)

    assert asyncio.run(ask()).status_code == status
