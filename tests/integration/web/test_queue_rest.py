"""Durable jobs over HTTP: the router with a queue behind it.

Over a queue that is made of what the router needs and no more; and over the real one, once that
has all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from msgspec.structs import replace

from mainspring import Queue, current_job
from mainspring.errors import InvalidArguments, InvalidOption, JobFailed, StoreBusy
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Failure, JobState
from mainspring.model.job_options import NO_OWN_OPTIONS, own_options
from mainspring.web import create_task_worker_router, queue_port


def add(first, second=1):
    return first + second


def fail():
    raise ValueError("no good")


def hidden():
    return "secret"


class FakeJob:
    def __init__(self, queue, number, task, call, priority, own):
        self.queue, self.call = queue, call
        self.id = f"job-{number}"
        self.ended = asyncio.Event()
        self.record = SimpleNamespace(
            id=self.id,
            task=task.name,
            state=JobState.PENDING,
            priority=priority,
            progress=0.0,
            created_at=datetime.now(UTC),
            run_at=datetime.now(UTC),
            started_at=None,
            completed_at=None,
            failure=None,
            options=own,
            message="",
            attempts=0,
        )

    def end(self, state, failure=None):
        self.record.state, self.record.failure = state, failure
        self.record.completed_at = datetime.now(UTC)

    def run(self):
        try:
            self.value = self.call()
            self.end(JobState.COMPLETED)
        except ValueError as error:
            self.end(JobState.FAILED, Failure("builtins.ValueError", str(error)))

    def cancel(self):
        live = self.record.completed_at is None
        if live:
            self.end(JobState.CANCELLED)
        return live

    def result(self, timeout=None):
        return self.value

    def __await__(self):
        return self._wait().__await__()

    async def _wait(self):
        while self.record.completed_at is None:
            await asyncio.sleep(0.002)
        if self.record.state is JobState.FAILED:
            raise JobFailed(self.id, self.record.task, "no good")
        return self.value


class FakeTask:
    def __init__(self, queue, task, priority, own=NO_OWN_OPTIONS):
        self.queue, self.task, self.priority, self.own = queue, task, priority, own
        self.name, self.codec = task.name, JsonCodec()

    def using(self, *, priority=None, **own):
        priority = self.priority if priority is None else priority
        return FakeTask(
            self.queue, self.task, priority, replace(self.own, **own_options("using()", own))
        )

    async def adelay(self, **kwargs):
        return self.queue.enqueue(self.task, kwargs, self.priority, self.own)


class FakePage(list):
    cursor = None

    @property
    def records(self):
        return [job.record for job in self]


class FakeQueue:
    """Runs a job when it is told to, and keeps all in the order in which they came."""

    def __init__(self):
        self.tasks, self.known, self.broken = [], [], None

    def task(self, *, name, http=False, priority=0):
        def register(function):
            task = SimpleNamespace(
                name=name, http=http, function=function, priority=priority, injected={}
            )
            self.tasks.append(task)
            return task

        return register

    def get_task(self, name):
        found = [task for task in self.tasks if task.name == name]
        return FakeTask(self, found[0], found[0].priority) if found else None

    def enqueue(self, task, kwargs, priority, own):
        self.look()
        if kwargs.get("first") == "unstorable":
            raise InvalidArguments("task: argument 'first' can't be stored")
        job = FakeJob(self, len(self.known), task, lambda: task.function(**kwargs), priority, own)
        self.known.append(job)
        return job

    def look(self):
        if self.broken is not None:
            raise self.broken

    def get_job(self, job_id):
        self.look()
        return next((job for job in self.known if job.id == job_id), None)

    def jobs(self, *, status=None, tag=None, cursor=None, page=None, order="newest", limit=100):
        self.look()
        if cursor is not None and not cursor.isdecimal():
            raise InvalidOption("cursor", cursor, owner="jobs", expected="one of ours")
        known = reversed(self.known) if order == "newest" else self.known
        found = [job for job in known if status in {None, job.record.state}]
        found = [job for job in found if tag is None or tag in job.record.options.tags]
        start = int(cursor or ((page or 1) - 1) * limit)
        page = FakePage(found[start : start + limit])
        page.cursor = str(start + limit) if len(found) > start + limit else None
        return page

    def stats(self):
        self.look()
        states = [job.record.state for job in self.known]
        return {**{state.value: states.count(state) for state in JobState}, "workers": 2}

    @contextlib.contextmanager
    def worker(self):
        for job in self.known:
            job.run()
        yield


@pytest.fixture(params=["fake", "real"])
def queue(request):
    queue = FakeQueue() if request.param == "fake" else Queue("memory://", grace=5)
    queue.task(name="add", http=True, priority=7)(add)
    queue.task(name="fail", http=True, **({} if request.param == "fake" else {"retries": 0}))(fail)
    queue.task(name="hidden")(hidden)
    yield queue
    if request.param == "real":
        queue.close()


def app_of(queue, **options):
    app = FastAPI()
    app.include_router(create_task_worker_router(queue, **options))
    return app


@pytest.fixture
def client(queue, serve):
    with httpx.Client(base_url=serve(app_of(queue)).url, timeout=20) as client:
        yield client


@pytest.fixture
def fake():
    queue = FakeQueue()
    queue.task(name="add", http=True)(add)
    return queue


@pytest.fixture
def fake_client(fake, serve):
    with httpx.Client(base_url=serve(app_of(fake)).url, timeout=20) as client:
        yield client


def start(client, task_type="add", **body):
    body.setdefault("params", {"first": 1} if task_type == "add" else {})
    return client.post("/tasks", json={"task_type": task_type, **body})


def ended(client, queue, job_id):
    with queue.worker(), client.stream("GET", f"/tasks/{job_id}/events") as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data:")]
    return json.loads(lines[-1].removeprefix("data:"))


def test_a_job_is_started_and_its_result_read(client, queue):
    answer = start(client, params={"first": 1, "second": 2})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["task_type"], body["status"], body["priority"]) == ("add", "pending", 7)
    done = ended(client, queue, body["id"])
    assert (done["status"], done["result"], done["progress"]) == ("completed", 3, 1.0)
    assert done == client.get(f"/tasks/{body['id']}").json()
    assert datetime.fromisoformat(done["completed_at"]) >= datetime.fromisoformat(
        done["created_at"]
    )


def test_a_job_tells_its_attempts_and_what_it_said_with_its_progress(serve):
    queue = Queue("memory://")

    @queue.task(name="pack", http=True, retries=1, backoff=[0])
    def pack():
        current_job.progress(0.5, "half is packed")
        if current_job.attempt == 1:
            raise OSError("the tape is out")
        return "packed"

    with httpx.Client(base_url=serve(app_of(queue)).url, timeout=20) as client, queue.worker():
        job_id = start(client, "pack").json()["id"]
        assert queue.get_job(job_id).result(timeout=10) == "packed"
        body = client.get(f"/tasks/{job_id}").json()
    assert (body["message"], body["attempts"]) == ("half is packed", 2)


def test_a_failure_is_told(client, queue):
    done = ended(client, queue, start(client, "fail").json()["id"])
    assert (done["status"], done["error"], done["result"]) == ("failed", "no good", None)


def test_a_priority_is_the_clients_or_else_the_tasks(client):
    assert start(client, priority=-3).json()["priority"] == -3
    assert start(client).json()["priority"] == 7


def test_only_what_was_registered_for_it_can_be_started(client):
    assert client.get("/tasks/types").json() == {"task_types": ["add", "fail"]}
    answer = start(client, "hidden")
    assert (answer.status_code, answer.json()["field"]) == (422, "task_type")
    assert answer.json()["code"] == start(client, "nothing").json()["code"]


def test_what_may_be_started_can_be_narrowed_and_not_widened(queue, serve):
    server = serve(app_of(queue, allow=["add", "hidden"]))
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/tasks/types").json() == {"task_types": ["add"]}
        assert start(client, "hidden").status_code == 422
        assert start(client, "fail").status_code == 422
        assert start(client).status_code == 201


def test_those_who_may_not_are_refused(queue, serve):
    async def authorize(authorization: str = Header("")):
        if authorization != "Bearer secret":
            raise HTTPException(401, "a token is needed")

    with httpx.Client(base_url=serve(app_of(queue, authorize=authorize)).url) as client:
        assert {client.get(path).status_code for path in ("/tasks", "/health", "/tasks/x")} == {401}
        assert start(client).status_code == 401
        client.headers["Authorization"] = "Bearer secret"
        assert start(client).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"params": {}}, "params.first"),
        ({"params": {"first": 1, "third": 3}}, "params.third"),
        ({"priority": 0.5}, "priority"),
        ({"priority": 2**40}, "priority"),
        ({"task_id": "mine"}, "task_id"),
        ({"metadata": {"a": "x" * 10_000}}, "metadata"),
        ({"tags": [""]}, "tags"),
        ({"timeout": 1e12}, "timeout"),
        ({"use_cache": True}, "use_cache"),
        ({"cache_ttl": 3}, "cache_ttl"),
    ],
)
def test_what_can_not_be_started_is_told_with_the_field(client, body, field):
    answer = start(client, **body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert client.get("/tasks").json()["count"] == 0


def test_a_job_has_tags_metadata_and_a_timeout_of_its_own(client):
    plain = start(client).json()
    own = {"tags": ["eu", "vip"], "metadata": {"order": 17}, "timeout": 2.5}
    mine = start(client, **own).json()
    assert (mine["tags"], mine["metadata"]) == (["eu", "vip"], {"order": 17})
    assert client.get(f"/tasks/{mine['id']}").json()["tags"] == ["eu", "vip"]
    assert (plain["tags"], plain["metadata"]) == ([], {})
    found = client.get("/tasks", params={"tag": "vip"}).json()["tasks"]
    assert [task["id"] for task in found] == [mine["id"]]
    assert client.get("/tasks", params={"tag": "us"}).json()["count"] == 0


def test_a_job_is_cancelled_once(client):
    job_id = start(client).json()["id"]
    assert client.delete(f"/tasks/{job_id}").status_code == 204
    assert client.get(f"/tasks/{job_id}").json()["status"] == "cancelled"
    assert client.delete(f"/tasks/{job_id}").status_code == 409


def test_what_does_not_exist_is_not_found(client):
    for answer in (
        client.get("/tasks/x"),
        client.delete("/tasks/x"),
        client.get("/tasks/x/events"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_jobs_are_listed_page_by_page_newest_first(client):
    ids = [start(client).json()["id"] for _ in range(5)]
    seen, cursor, counts = [], None, []
    while True:
        page = client.get("/tasks", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [one["id"] for one in page.json()["tasks"]]
        counts.append(page.json()["count"])
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert counts == [2, 2, 1]
    assert client.get("/tasks", params={"status": "completed"}).json()["count"] == 0
    assert client.get("/tasks", params={"cursor": "none of ours"}).json()["field"] == "cursor"


def test_pages_go_by_number_and_from_the_oldest(client):
    ids = [start(client).json()["id"] for _ in range(5)]

    def page(**query):
        found = client.get("/tasks", params={"limit": 2, **query}).json()
        return [one["id"] for one in found["tasks"]], found["next_cursor"]

    assert page(page=2)[0] == ids[2:0:-1]
    assert page(page=3) == ([ids[0]], None)
    assert page(page=4) == ([], None)
    first, cursor = page(order="oldest")
    assert first == ids[:2]
    assert page(order="oldest", cursor=cursor)[0] == page(order="oldest", page=2)[0] == ids[2:4]
    assert page(order="oldest", older_than_minutes=5) == ([], None)
    for wrong, field in [
        ({"page": 2, "cursor": cursor, "order": "oldest"}, "page"),
        ({"page": 2, "older_than_minutes": 1}, "page"),
        ({"page": 0}, "query.page"),
        ({"order": "up"}, "query.order"),
    ]:
        answer = client.get("/tasks", params=wrong)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_list_of_jobs_that_have_ended_costs_one_read(serve, monkeypatch):
    queue = Queue("memory://", grace=5)
    queue.task(name="add", http=True)(add)
    with httpx.Client(base_url=serve(app_of(queue)).url, timeout=20) as client:
        for _ in range(5):
            start(client)
        with queue.worker():
            queue.gather(queue.jobs(), timeout=20)
        store, reads = queue._client.store, []
        for name in ("get", "ended", "jobs"):
            monkeypatch.setattr(store, name, counted(name, getattr(store, name), reads))
        page = client.get("/tasks").json()
    assert [one["status"] for one in page["tasks"]] == ["completed"] * 5
    assert None not in [one["result"] for one in page["tasks"]]
    assert reads == ["jobs"]
    queue.close()


def counted(name, read, reads):
    def call(*args, **options):
        reads.append(name)
        return read(*args, **options)

    return call


def test_jobs_of_an_age_are_found_behind_those_that_are_too_young(fake_client, fake):
    ids = [start(fake_client).json()["id"] for _ in range(7)]
    for job in fake.known[:3]:
        job.record.created_at -= timedelta(minutes=10)
    page = fake_client.get("/tasks", params={"older_than_minutes": 5, "limit": 2}).json()
    seen = [one["id"] for one in page["tasks"]]
    while page["next_cursor"]:
        cursor = page["next_cursor"]
        query = {"older_than_minutes": 5, "limit": 2, "cursor": cursor}
        page = fake_client.get("/tasks", params=query).json()
        seen += [one["id"] for one in page["tasks"]]
    assert seen == ids[2::-1]


def test_a_request_passes_by_young_jobs_for_a_while_and_the_next_goes_on(
    fake_client, fake, monkeypatch
):
    monkeypatch.setattr(queue_port, "MOST_SECONDS", 0.0)
    ids = [start(fake_client).json()["id"] for _ in range(3)]
    fake.known[0].record.created_at -= timedelta(minutes=10)
    query = {"older_than_minutes": 5, "limit": 1}
    pages = [fake_client.get("/tasks", params=query).json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(fake_client.get("/tasks", params={**query, "cursor": cursor}).json())
    assert [[one["id"] for one in page["tasks"]] for page in pages] == [[], [], ids[:1]]


def test_health_counts_jobs_and_workers(client, queue):
    start(client)
    body = client.get("/health").json()
    assert (body["status"], body["queue_size"], body["counts"]["pending"]) == ("ok", 1, 1)
    assert body["worker_count"] == queue.stats()["workers"]


def test_health_counts_no_worker_that_is_gone(serve, eventually):
    with contextlib.closing(Queue("memory://")) as queue:
        queue.store.join("gone", host="host", pid=1, lease=0.001)
        eventually(lambda: [node.live for node in queue.nodes()] == [False])
        with httpx.Client(base_url=serve(app_of(queue)).url) as client:
            assert client.get("/health").json()["worker_count"] == 0


def test_a_store_that_is_busy_is_503_everywhere(fake_client, fake):
    job_id = start(fake_client).json()["id"]
    fake.broken = StoreBusy("jobs.db", 1.0, "somebody")
    answers = [
        start(fake_client),
        fake_client.get("/tasks"),
        fake_client.get("/health"),
        fake_client.get(f"/tasks/{job_id}"),
        fake_client.delete(f"/tasks/{job_id}"),
        fake_client.get(f"/tasks/{job_id}/events"),
    ]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(503, "store_busy")}


def test_arguments_that_can_not_be_stored_are_told(fake_client):
    answer = start(fake_client, params={"first": "unstorable"})
    assert (answer.status_code, answer.json()["field"]) == (422, "params")


def test_a_result_that_can_not_be_read_is_shown_as_such(fake_client, fake, monkeypatch):
    def unreadable(self, timeout=None):
        raise LookupError("it is purged")

    job_id = start(fake_client).json()["id"]
    fake.known[0].run()
    monkeypatch.setattr(FakeJob, "result", unreadable)
    body = fake_client.get(f"/tasks/{job_id}").json()
    assert body["result"]["$type"] == "LookupError"


def test_events_tell_progress_and_message_from_the_store(fake_client, fake):
    job_id = start(fake_client).json()["id"]
    job = fake.known[0]
    job.record.state, job.record.progress = JobState.RUNNING, 0.5
    kinds = []
    with fake_client.stream("GET", f"/tasks/{job_id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event:"):
                kinds.append(line.removeprefix("event: "))
                if job.record.progress == 0.5:
                    job.record.progress = 0.75
                elif not job.record.message:
                    job.record.message = "the last part"
                elif job.record.completed_at is None:
                    job.run()
    assert kinds == ["state", "progress", "progress", "result"]
