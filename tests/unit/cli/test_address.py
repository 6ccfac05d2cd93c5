"""`module:attribute`: found from the current folder, or an error that says where to look."""

from __future__ import annotations

import sys

import pytest

from mainspring import Queue
from mainspring.cli.app_loader.queue import load_app
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


def test_an_import_error_shows_the_users_last_lines(app):
    helper = app.with_name("helper_of_test_address.py")
    helper.write_text("def connect():\n    raise OSError('no route')\n")
    app.write_text("from helper_of_test_address import connect\n\nqueue = connect()\n")
    with pytest.raises(AppNotFound) as told:
        load_app(f"{MODULE}:queue")
    first, *lines = str(told.value).splitlines()
    assert first.endswith(f"raised OSError: no route ({helper}, line 2); mend that first")
    assert lines == [
        f"  {app}, line 3: queue = connect()",
        f"  {helper}, line 2: raise OSError('no route')",
    ]


def test_a_syntax_error_is_shown_where_it_stands(app):
    app.write_text("def f():\n    return 1 +\n")
    with pytest.raises(AppNotFound) as told:
        load_app(f"{MODULE}:queue")
    assert str(told.value).endswith(f"SyntaxError: invalid syntax ({app}, line 2); mend that first")
    assert "importlib" not in str(told.value)
