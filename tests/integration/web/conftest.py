"""A server on a free loopback port, in a thread of its own; and a browser before a dashboard."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from contextlib import asynccontextmanager

import httpx
import playwright.sync_api
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from mainspring import Queue
from mainspring.model.job import Outcome, OutcomeKind, Want
from mainspring.web import create_task_worker_router, dashboard
from servers import chromium as browser_of_the_system


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
            is_app = isinstance(app_or_worker, Starlette)
            app = app_or_worker if is_app else app_of(app_or_worker, **options)
            return servers.enter_context(Server(app))

        yield start


ORIGIN = "http://localhost"
TOKEN = "a-token-of-the-tests"


class Browser:
    """Asks an app in this process, as a browser at `origin` does, and keeps its cookies."""

    def __init__(self, app, origin=ORIGIN, *, raises=True):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=raises)
        self._client = httpx.AsyncClient(transport=transport, base_url=origin)
        self._runner = asyncio.Runner()
        self.origin = origin
        self.cookies = self._client.cookies

    def ask(self, method, path, **how):
        return self._runner.run(self._client.request(method, path, **how))

    def get(self, path, **how):
        return self.ask("GET", path, **how)

    def post(self, path, fields=None, *, headers=None, **how):
        sent = {"Origin": self.origin, **(headers or {})}
        kept = {name: value for name, value in sent.items() if value is not None}
        return self.ask("POST", path, data=fields or {}, headers=kept, **how)

    def text(self, path):
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def words(self, path):
        """Return the words of a page, with a space in the place of its tags."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text(path)).split())

    def close(self):
        self._runner.run(self._client.aclose())
        self._runner.close()


@pytest.fixture
def browse():
    """Open a browser before a dashboard; as an operator unless `authorize` or `token` says else."""
    browsers = []

    def start(queue, *, mounted_at=None, origin=ORIGIN, raises=True, **options):
        if not {"authorize", "token"} & set(options):
            options["authorize"] = lambda _request: "operator"
        app = dashboard(queue, **options)
        app = app if mounted_at is None else mount(app, mounted_at)
        browsers.append(Browser(app, origin, raises=raises))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.close()


def mount(app, path):
    return Starlette(routes=[Mount(path, app)])


@pytest.fixture
def queue():
    """A queue in memory with tasks that only `ended` runs."""
    made = Queue("memory://")
    made.task(name="mail.send", queue="mail")(lambda to, password=None: to)
    made.task(name="tidy")(lambda: None)
    yield made
    made.close()


@pytest.fixture
def ended():
    """Let the jobs that wait end in an outcome, without a worker; returns their ids."""

    def end(queue, kind=OutcomeKind.FAILED, **options):
        store = queue.store
        node = store.join("other", host="host", pid=1, lease=15)
        tasks = tuple({lane.task for lane in store.lanes()})
        claims = store.claim(node, [Want(tasks=tasks, queues=None, limit=1_000)])
        outcomes = [Outcome(key=one.key, fence=one.fence, kind=kind, **options) for one in claims]
        assert all(store.finish_many(node, outcomes))
        store.leave(node)
        return [claim.id for claim in claims]

    return end


class Window:
    """A window of the real browser; notes what a page must not do: dialogs, errors, refusals."""

    def __init__(self, chromium, server):
        self.page = chromium.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(30_000)
        self.wrong = []
        self.url = server.url
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self.on_console)
        self.page.on("response", self._response)

    def _dialog(self, dialog):
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def on_console(self, message):
        if re.search("Refused to|violates|Content Security Policy", message.text):
            self.wrong.append(message.text)

    def _response(self, response):
        if response.status >= 500:
            self.wrong.append(f"{response.url}: {response.status}")

    def open(self, path):
        self.page.goto(self.url + path)
        return self.page

    def press(self, name, role="button"):
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def says(self, text):
        self.page.get_by_text(text).first.wait_for()


@pytest.fixture(scope="module")
def chromium():
    """The browser of the system. Of a module only: while it runs, its thread has an event loop."""
    path = browser_of_the_system.installed()
    if path is None and browser_of_the_system.required():
        pytest.fail(browser_of_the_system.MISSING)
    if path is None:
        pytest.skip(browser_of_the_system.MISSING)
    with playwright.sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium, serve):
    """Open a window of the real browser before a dashboard, or before an app."""
    windows = []

    def start(queue_or_app, **options):
        if isinstance(queue_or_app, Queue):
            options.setdefault("authorize", lambda _request: "operator")
            queue_or_app = dashboard(queue_or_app, **options)
        windows.append(Window(chromium, serve(queue_or_app)))
        return windows[-1]

    yield start
    for one in windows:
        one.page.close()
        assert one.wrong == []
