"""A suite of tests of application code, as its authors would run it: nothing real is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("suite")
PLUGIN = "mainspring.testing.plugin"
ENTRY_POINT = any(one.value == PLUGIN for one in entry_points(group="pytest11"))
"""False in an environment that the package was put into before it had the plugin."""


def run_pytest(folder, *options):
    """Run the tests of a folder, with a real store that must not be made."""
    plugin = () if ENTRY_POINT else ("-p", PLUGIN)
    url = f"sqlite:///{folder}/real.db"
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options),
        cwd=folder,
        env={**os.environ, "MAINSPRING_URL": url, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert not (folder / "real.db").exists()
    return done


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_suite_of_a_hundred_tests_passes_and_touches_nothing_real(tmp_path, options):
    folder = shutil.copytree(SUITE, tmp_path / "suite")
    done = run_pytest(folder, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.rpartition(" passed")[0].split()[-1]) >= 100


@pytest.fixture
def project(tmp_path):
    """Write a project with this setting and these tests; return its folder."""

    def write(setting, tests, app="from mainspring import Queue\nqueue = Queue()\n"):
        (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{setting}\n")
        (tmp_path / "shop.py").write_text(app)
        (tmp_path / "test_shop.py").write_text(tests)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("", "write mainspring_app = shop.tasks:queue"),
        ("mainspring_app = shop", "write it as module:attribute"),
        ("mainspring_app = nowhere:queue", "there is no module 'nowhere'"),
        ("mainspring_app = shop:app", "shop has no 'app'; its queues are queue"),
    ],
)
def test_a_setting_that_leads_to_no_queue_is_one_clear_line(project, setting, message):
    done = run_pytest(project(setting, "def test_it(mainspring_queue): pass\n"))
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert "plugin.py" not in done.stdout
    assert "another exception" not in done.stdout


OWN_FIXTURES = """
import pytest
from types import SimpleNamespace
from mainspring import Queue

@pytest.fixture(params=["queue", "app", "neither"])
def mainspring_app(request):
    queue = Queue()
    return {"queue": queue, "app": SimpleNamespace(queue=queue), "neither": 7}[request.param]

def test_it(mainspring_queue, mainspring_app):
    assert mainspring_queue.queue is getattr(mainspring_app, "queue", mainspring_app)

def test_a_worker(mainspring_worker):
    assert isinstance(mainspring_worker, Queue)
"""


def test_a_fixture_of_the_users_own_gives_the_queue_or_an_app_that_has_one(project):
    done = run_pytest(project("", OWN_FIXTURES))
    assert "4 passed, 2 errors" in done.stdout
    assert "mainspring_app does not lead to a Queue: what it returned is int" in done.stdout
    assert "plugin.py" not in done.stdout


def test_an_error_that_no_test_has_seen_is_one_at_its_end(project):
    app = """
from mainspring import Queue
queue = Queue()

@queue.task
def fail():
    raise OSError("nobody looks")
"""
    tests = """
import shop

def test_it(mainspring_queue):
    shop.fail.delay()
    mainspring_queue.run()
"""
    done = run_pytest(project("mainspring_app = shop:queue", tests, app))
    assert done.returncode == 1
    assert "OSError: nobody looks" in done.stdout
    assert "waited for its next attempt" in done.stdout
    assert "shop.py:7" in done.stdout


@pytest.mark.parametrize("call", ["pytest.fail('stop')", "pytest.skip('stop')"])
def test_what_ends_a_test_ends_it_from_a_body_too(project, call):
    app = f"""
import pytest
from mainspring import Queue
queue = Queue()

@queue.task
def end():
    {call}
"""
    tests = """
import shop

def test_it(mainspring_queue):
    shop.end.delay()
    mainspring_queue.run()
    assert False, "not reached"
"""
    done = run_pytest(project("mainspring_app = shop:queue", tests, app))
    assert "not reached" not in done.stdout
    assert ("1 failed" if "fail" in call else "1 skipped") in done.stdout


def test_the_plugin_loads_nothing_before_it_is_used(project):
    tests = """
import sys

def test_it():
    heavy = {"msgspec", "mainspring.queue", "mainspring.engine"}
    assert heavy & set(sys.modules) == set()
"""
    done = run_pytest(project("", tests), "-p", "no:schemathesis", "-p", "no:valkey")
    assert done.returncode == 0, done.stdout
