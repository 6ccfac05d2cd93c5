"""Tracebacks of jobs begin with the user's code, wherever it runs."""

import importlib
import inspect
import logging

import pytest

from mainspring import Queue, background_worker
from mainspring.errors import InvalidOption
from mainspring.model.user_frames import OURS, frames_of

APP = """
def around(attempt):
    yield


def fails():
    raise ValueError("no")


async def afails():
    raise ValueError("no")
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    (tmp_path / "app_that_fails.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("app_that_fails")


@pytest.mark.parametrize("executor", ["thread", "async", "process"])
def test_a_traceback_begins_with_the_users_code(app, executor, caplog):
    queue = Queue("memory://", workers=1, grace=5)
    function = app.afails if executor == "async" else app.fails
    task = queue.task(retries=0, executor=executor)(function)
    queue.middleware(app.around)

    with queue.worker():
        job = task.delay()
        with pytest.raises(Exception, match="no"):
            job.result(timeout=20)
    told = job.record.failure.traceback.splitlines()
    assert told[0] == "Traceback (most recent call last):"
    assert "app_that_fails.py" in told[1], told
    assert "in around" not in told[1]
    assert "app_that_fails.py" in caplog.text
    assert "/pipeline.py" not in caplog.text
    queue.close()


def test_an_error_of_ours_keeps_its_frames():
    try:
        Queue("memory://", workers=-1)
    except InvalidOption as error:
        ours = error
    deepest = inspect.getinnerframes(frames_of(ours))
    assert deepest[0].filename == __file__
    alone = ours.with_traceback(ours.__traceback__.tb_next)
    assert frames_of(alone) is alone.__traceback__
    assert frames_of(alone).tb_frame.f_code.co_filename.startswith(OURS)


def test_the_log_of_a_background_worker_begins_with_the_users_code(caplog, eventually):
    caplog.set_level(logging.ERROR)

    @background_worker(interval=60)
    def tick(**_):
        raise ValueError("no tick")

    tick.start()
    try:
        eventually(lambda: [one for one in caplog.records if one.exc_info])
    finally:
        tick.stop()
    (record,) = [one for one in caplog.records if one.exc_info]
    first = record.exc_info[2].tb_frame.f_code.co_filename
    assert first == __file__
