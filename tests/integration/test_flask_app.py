"""A queue in an application that a factory makes: Flask's own, Starlette's and FastAPI's."""

from __future__ import annotations

import subprocess
import sys

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from mainspring import Queue
from mainspring.cli.app_loader.queue import load_app
from mainspring.errors import DuplicateName, InvalidOption, UnknownOption


@pytest.fixture
def queue():
    queue = Queue()
    yield queue
    queue.close()


def flask_app(**config):
    app = flask.Flask("shop")
    app.config.update(config)
    return app


def test_flask_config_configures_the_queue(queue, tmp_path):
    app = flask_app(MAINSPRING_URL=f"sqlite:///{tmp_path}/shop.db", MAINSPRING_WORKERS=3)
    queue.init_app(app)
    assert queue.url == f"sqlite:///{tmp_path}/shop.db"
    assert queue.settings.workers == 3
    assert app.extensions["mainspring"] is queue
    assert not (tmp_path / "shop.db").exists()  # nothing is opened yet


def test_options_go_before_the_configuration(queue, tmp_path):
    app = flask_app(MAINSPRING_DB_PATH=str(tmp_path / "shop.db"), MAINSPRING_WORKERS=3)
    queue.init_app(app, "memory://", workers=1)
    assert (queue.url, queue.settings.workers) == ("memory://", 1)


def test_without_configuration_the_queue_stays_as_it_was():
    queue = Queue("memory://", workers=2)
    queue.init_app(flask_app(MAINSPRING_URL=None, SECRET_KEY="x"))
    assert (queue.url, queue.settings.workers) == ("memory://", 2)


@pytest.mark.parametrize("app", [FastAPI(), Starlette()])
def test_it_stands_in_the_state_of_starlette_and_fastapi(queue, app):
    queue.init_app(app, "memory://")
    assert app.state.mainspring is queue
    assert queue.url == "memory://"


def test_bodies_run_in_the_context_of_the_application(queue):
    queue.init_app(flask_app(MAINSPRING_URL="memory://", SHOP="corner"))

    @queue.task(name="plain")
    def plain():
        return flask.current_app.config["SHOP"]

    @queue.task(name="awaited")
    async def awaited():
        return flask.current_app.config["SHOP"]

    with queue.worker():
        assert plain.delay().result(10) == "corner"
        assert awaited.delay().result(10) == "corner"
    assert not flask.has_app_context()


def factory(queue, **config):
    app = flask_app(**{"MAINSPRING_URL": "memory://", **config})

    @queue.task(name="early")
    def early():
        return app.config["SHOP"]

    queue.init_app(app)

    @queue.cron("0 3 * * *", name="late")
    def late():
        return app.config["SHOP"], flask.current_app.config["SHOP"]

    app.early, app.late = early, late
    return app


def test_tasks_of_a_factory_are_those_of_the_last_application(queue):
    for shop in ("first", "second", "third"):
        app = factory(queue, SHOP=shop)
        with queue.testing() as t:
            jobs = app.early.delay(), app.late.delay()
            t.run()
            assert [job.result() for job in jobs] == [shop, (shop, shop)]
    assert {task.name for task in queue.tasks} == {"early", "late"}


def test_two_tasks_of_one_name_in_one_application_are_refused(queue):
    app = flask_app(MAINSPRING_URL="memory://")
    queue.init_app(app)
    queue.task(name="counted")(lambda number=1: number)
    with pytest.raises(DuplicateName):
        queue.task(name="counted")(lambda number=2: number)


def test_a_schedule_of_a_task_outside_of_the_factory_may_be_declared_by_each(queue):
    @queue.task(name="poll")
    def poll():
        pass

    for _ in range(2):
        queue.init_app(flask_app(MAINSPRING_URL="memory://"))
        queue.every(60, name="poll")(poll)
    with pytest.raises(DuplicateName):
        queue.every(60, name="poll")(poll)


def test_after_the_first_use_another_application_has_the_same_store(queue, tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    queue.init_app(flask_app(MAINSPRING_URL=url, MAINSPRING_WORKERS=2))
    queue.stats()
    queue.init_app(flask_app(MAINSPRING_URL=url, MAINSPRING_WORKERS=2))
    queue.init_app(flask_app())
    with pytest.raises(InvalidOption, match=r"Queue.init_app\(\).*comes too late.*has used"):
        queue.init_app(flask_app(MAINSPRING_URL="memory://"))
    with pytest.raises(InvalidOption, match="workers=3 comes too late"):
        queue.init_app(flask_app(MAINSPRING_URL=url, MAINSPRING_WORKERS=3))


@pytest.mark.parametrize(
    ("app", "error", "says"),
    [
        (object(), InvalidOption, "app=.*expected an application of Flask, or of Starlette"),
        (flask_app(MAINSPRING_WORKER=3), UnknownOption, "MAINSPRING_WORKERS"),
        (flask_app(MAINSPRING_WORKERS="many"), InvalidOption, "workers='many'"),
        (flask_app(MAINSPRING_URL="nosql://"), InvalidOption, "nosql"),
    ],
)
def test_a_slip_is_named(queue, app, error, says):
    with pytest.raises(error, match=says):
        queue.init_app(app)


def test_an_application_has_one_queue_under_the_name(queue):
    app = flask_app(MAINSPRING_URL="memory://")
    Queue("memory://").init_app(app)
    with pytest.raises(InvalidOption, match="has another queue already"):
        queue.init_app(app)


FACTORY = """
from flask import Flask, current_app
from mainspring import Queue

queue = Queue()


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(MAINSPRING_URL="sqlite:///shop.db", NAME="shop")
    queue.init_app(app)

    @queue.task
    def send(address):
        return f"{current_app.config['NAME']} to {address}"

    return app
"""


def test_the_command_finds_the_queue_of_a_factory_and_its_tasks(tmp_path, monkeypatch):
    (tmp_path / "flask_shop.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    queue = load_app("flask_shop:create_app")
    assert [task.name for task in queue.tasks] == ["flask_shop.send"]
    job = queue.enqueue("flask_shop.send", ("you",))
    with queue.worker():
        assert job.result(20) == "shop to you"
    queue.close()
    del sys.modules["flask_shop"]


CHILD = """
from flask import Flask, has_app_context
from mainspring import Queue

queue = Queue(workers=1)


@queue.task(executor="process")
def far():
    return has_app_context()


queue.init_app(Flask(__name__), "memory://")
"""


def test_a_child_process_has_no_context_and_runs_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "flask_child.py").write_text(CHILD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    queue = load_app("flask_child:queue")
    with queue.worker():
        assert queue.get_task("flask_child.far").delay().result(30) is False
    queue.close()
    del sys.modules["flask_child"]


UNIMPORTED = """
import sys
from mainspring import Queue

class App:
    config, extensions = {"MAINSPRING_URL": "memory://"}, {}

Queue().init_app(App)
assert not {"flask", "starlette"} & {*sys.modules}
"""


def test_no_framework_is_imported():
    subprocess.run([sys.executable, "-c", UNIMPORTED], check=True, timeout=60)
