"""`module:attribute`: found from the current folder, or an error that says where to look."""

from __future__ import annotations

import sys

import pytest

from mainspring import Queue
from mainspring.cli.app_loader.queue import load_app, queue_of
from mainspring.cli.parser import parser
from mainspring.cli.processes.command import command_of
from mainspring.errors import AppNotFound, UsageError

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


HOLDERS = {
    "itself": "queue",
    "an app": "App(queue=queue)",
    "an app that can be called": "Called(queue=queue, again=queue)",
    "its state": "App(state=App(_state={'tasks': queue}))",
    "its plain state": "App(state=App(tasks=queue))",
    "its extensions": "App(extensions={'mainspring': queue, 'other': 1})",
}

APPS = """
import functools
from types import SimpleNamespace as App
from mainspring import Queue

class Called(App):
    def __call__(self, scope):
        raise AssertionError("it is no factory")

queue = Queue("memory://")
several = App(one=queue, two=Queue("memory://"))
nothing = App(one=1)
found = {found}

def create_app():
    return found

partial = functools.partial(lambda app: app, found)

def asks(name):
    pass

def returns_none():
    pass

def returns_nothing():
    return nothing

def raises():
    raise OSError("no route")

def leaves():
    raise SystemExit("wrong settings")

async def awaited():
    pass
"""


@pytest.mark.parametrize("place", HOLDERS)
@pytest.mark.parametrize("name", ["found", "create_app", "partial"])
def test_the_queue_is_found_in_an_app_or_in_what_a_function_returns(app, place, name):
    app.write_text(APPS.replace("{found}", HOLDERS[place]))
    queue = load_app(f"{MODULE}:{name}")
    assert queue is sys.modules[MODULE].queue


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("several", "several is SimpleNamespace, and has several: one, two; name"),
        ("nothing", "nothing is SimpleNamespace, and has no Queue"),
        (
            "asks",
            r"asks\(\) can't be called without arguments: missing a required arg",
        ),
        ("returns_none", r"returns_none\(\) returned None; let it return the app"),
        ("returns_nothing", r"what returns_nothing\(\) returned is SimpleNamespace, and has no"),
        ("raises", r"raises\(\) raised OSError: no route \(.*, line \d+\); mend that first"),
        ("leaves", r"leaves\(\) raised SystemExit: wrong settings"),
        ("awaited", "awaited is async; name a plain function"),
    ],
)
def test_an_app_or_a_function_without_a_queue_is_one_clear_line(app, name, why):
    app.write_text(APPS.replace("{found}", "queue"))
    with pytest.raises(AppNotFound, match=f"^'{MODULE}:{name}' does not lead to a Queue: {why}"):
        load_app(f"{MODULE}:{name}")


def test_modules_are_imported_besides_and_a_wrong_one_is_named(app):
    app.write_text("from mainspring import Queue\n\nqueue = Queue('memory://')\n")
    more = app.with_name("more_of_test_address.py")
    more.write_text(f"from {MODULE} import queue\n\n@queue.task\ndef send():\n    pass\n")
    queue = load_app(f"{MODULE}:queue", ["more_of_test_address"])
    assert [task.name for task in queue.tasks] == ["more_of_test_address.send"]
    with pytest.raises(UsageError, match=r"^--import nowhere_at_all: there is no module 'nowhere"):
        load_app(f"{MODULE}:queue", ["nowhere_at_all"])
    more.with_name("broken_of_test_address.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match=r"^--import broken.* raised ZeroDivisionError: .*line 1"):
        load_app(f"{MODULE}:queue", ["broken_of_test_address"])


def test_processes_below_a_worker_import_the_same(app):
    words = ["worker", "--app", "a:b", "--import", "c", "--import", "d", "--processes", "2"]
    command = command_of(parser(words).parse_args(words))
    assert command[3:6] == ["worker", "--app", "a:b"]
    assert command[-4:] == ["--import", "c", "--import", "d"]


def test_modules_without_an_app_are_refused(app):
    words = ["queues", "ls", "--db", "jobs.db", "--import", "c"]
    with pytest.raises(UsageError, match="--import needs --app"):
        queue_of(parser(words).parse_args(words))
