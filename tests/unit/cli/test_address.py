"""`module:attribute`: found from the current folder, or an error that says where to look."""

from __future__ import annotations

import sys

import pytest

from mainspring import Queue
from mainspring.cli.target.app import load_app
from mainspring.errors import AppNotFound

MODULE = "app_of_test_address"


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / f"{MODULE}.py"
    sys.modules.pop(MODULE, None)


def test_a_queue_is_found_from_the_current_folder(app):
    app.write_text("from mainspring import Queue\n\nqueue = Queue('memory://')\n")
    queue = load_app(f"{MODULE}:queue")
    assert isinstance(queue, Queue)
    queue.close()


def test_an_error_that_mainspring_raises_names_the_line_of_the_app_that_asked_for_it(app):
    app.write_text("from mainspring import Queue\n\nqueue = Queue('memory://', wrong=1)\n")
    with pytest.raises(AppNotFound) as told:
        load_app(f"{MODULE}:queue")
    assert f"({app}, line 3)" in str(told.value)
