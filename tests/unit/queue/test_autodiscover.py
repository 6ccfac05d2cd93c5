"""Modules with tasks, found in each of some packages."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption

TASKS = "from found_queue import queue\n\n\n@queue.task\ndef send():\n    pass\n"


@pytest.fixture
def queue(monkeypatch):
    queue = Queue("memory://")
    module = ModuleType("found_queue")
    module.queue = queue
    monkeypatch.setitem(sys.modules, "found_queue", module)
    return queue


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package with modules, by name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(name, **modules):
        folder = tmp_path.joinpath(*name.split("."))
        folder.mkdir()
        for module, text in {"__init__": "", **modules}.items():
            (folder / f"{module}.py").write_text(text)

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_tasks_of_packages_that_have_some_are_registered(queue, package):
    package("found_shop", tasks=TASKS)
    package("found_shop.mail", jobs=TASKS)
    package("found_none")
    assert queue.autodiscover(iter(["found_shop", "found_none"])) == ["found_shop.tasks"]
    assert queue.autodiscover(["found_shop.mail"], name="jobs") == ["found_shop.mail.jobs"]
    names = {task.name for task in queue.tasks}
    assert names == {"found_shop.tasks.send", "found_shop.mail.jobs.send"}


@pytest.mark.parametrize(
    "text", ["import not_there_at_all\n", "raise ImportError('broken')\n", "1 +\n"]
)
def test_a_broken_import_is_raised_with_its_name(queue, package, text):
    package("found_broken", tasks=text)
    with pytest.raises((ImportError, SyntaxError)) as told:
        queue.autodiscover(["found_broken"])
    assert "imported found_broken.tasks" in told.value.__notes__[0]


def test_a_package_whose_own_import_is_broken_is_no_package_without_tasks(queue, package):
    package("found_bad", __init__="import not_there_at_all\n", tasks=TASKS)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        queue.autodiscover(["found_bad"])


@pytest.mark.parametrize(
    ("packages", "says"),
    [
        ("found_shop", r"expected a list of packages, as in \['found_shop'\]"),
        (["found_nowhere"], "packages='found_nowhere' is no package that can be imported"),
        (["found_nowhere.below"], "is no package that can be imported"),
        (["json.decoder"], "is no package that can be imported"),
        (["found_apps.apps.ShopConfig"], r"app.name|one.name for one in django.apps"),
        ([""], "is no name"),
        ([7], "is no name"),
        (None, "expected a list of packages"),
    ],
)
def test_what_is_no_package_is_named(queue, packages, says):
    with pytest.raises(InvalidOption, match=says):
        queue.autodiscover(packages)
    with pytest.raises(InvalidOption, match=r"name='tasks\.py'"):
        queue.autodiscover([], "tasks.py")
    with pytest.raises(InvalidOption, match="name='a b'"):
        queue.autodiscover(["json"], name="a b")
