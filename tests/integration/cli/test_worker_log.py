"""What `mainspring worker` logs: records of threads and of child processes, in one form."""

from __future__ import annotations

import json
import signal

import pytest

APP = """
    import logging
    from mainspring import Queue

    CONFIGURE

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=5)

    def say():
        for level in ("debug", "info", "warning"):
            getattr(logging.getLogger("shop"), level)(f"of {level}")

    @queue.task
    def thread():
        say()

    @queue.task(executor="process")
    def child():
        say()
"""


@pytest.fixture
def lines_of(make_app, start_worker):
    """Run a job in a thread and one in a child; return the lines of the worker's log."""

    def run(configure, *options):
        app = make_app(APP.replace("CONFIGURE", configure))
        worker = start_worker(*options)
        for task in (app.thread, app.child):
            task.delay().result(timeout=20)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
        return worker.output().splitlines()

    return run


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch):
    """Keep the app that is imported here, too, from configuring the log of the tests."""
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)


QUIET_APP = "logging.basicConfig(level=logging.ERROR, format='own: %(message)s')"


@pytest.mark.parametrize("configure", ["", QUIET_APP], ids=["bare", "basicConfig"])
def test_users_records_of_threads_and_children_are_json(lines_of, configure):
    lines = [json.loads(line) for line in lines_of(configure, "--log-format", "json")]
    shop = [line for line in lines if line["logger"] == "shop"]
    assert [line["message"] for line in shop] == ["of info", "of warning"] * 2
    assert [line["task"] for line in shop] == ["app.thread"] * 2 + ["app.child"] * 2


def test_the_level_holds_in_children_too(lines_of):
    lines = lines_of("", "--log-level", "debug")
    assert sum(" DEBUG shop: of debug (job " in line for line in lines) == 2
    assert sum("of warning" in line for line in lines) == 2


def test_an_app_that_insists_has_its_own_form_everywhere(lines_of):
    force = "logging.basicConfig(level=logging.INFO, format='own: %(message)s', force=True)"
    lines = lines_of(force, "--log-format", "json")
    assert [line for line in lines if line.startswith("own: of ")] == [
        "own: of info",
        "own: of warning",
    ] * 2


def test_jobs_are_lines_of_the_log_if_asked_for(lines_of):
    lines = [json.loads(line) for line in lines_of("", "--log-format", "json", "--log-jobs")]
    jobs = [line for line in lines if line["logger"] == "mainspring.jobs"]
    assert [line["task"] for line in jobs] == ["app.thread", "app.child"]
    assert [line["extra"]["outcome"] for line in jobs] == ["completed"] * 2
