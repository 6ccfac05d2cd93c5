"""Django beside our tables, in one SQLite file: its commands see and touch nothing of ours."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from mainspring import Queue

MODELS = """
from django.db import models

class Job(models.Model):
    title = models.TextField()

    class Meta:
        db_table = "jobs"
"""

MANAGE = """
import sys
from django.conf import settings
from django.core.management import call_command
import django

settings.configure(
    INSTALLED_APPS=["shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
)
django.setup()
for line in sys.stdin.read().splitlines():
    call_command(*line.split())
"""
OURS = "SELECT name, sql FROM sqlite_master WHERE name GLOB 'mainspring_*' ORDER BY name"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND NOT name GLOB 'mainspring_*'"


@pytest.fixture
def manage(tmp_path, monkeypatch):
    """Make a project of Django's; return what its commands say, one a line, in one process."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(MODELS)
    (tmp_path / "manage.py").write_text(MANAGE)

    def run(*lines):
        done = subprocess.run(
            [sys.executable, "manage.py"],
            cwd=tmp_path,
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def asked(question):
    with closing(sqlite3.connect("shop.db")) as connection:
        return connection.execute(question).fetchall()


def test_djangos_commands_neither_see_nor_touch_our_tables(manage, tmp_path):
    with closing(Queue(db_path="shop.db")) as queue:
        job = queue.enqueue("shop.publish", (17,))
        ours = asked(OURS)
        said = manage("makemigrations shop", "migrate", "makemigrations --check", "inspectdb jobs")
        (migration,) = (tmp_path / "shop" / "migrations").glob("0001_*.py")
        assert "Create model Job" in said
        assert "mainspring" not in said + migration.read_text()
        assert ("jobs",) in asked(TABLES)
        said = manage("dumpdata", "sqlflush", "flush --no-input", "migrate shop zero")
        assert "DELETE" in said
        assert "mainspring" not in said
        assert ("jobs",) not in asked(TABLES)
        assert asked(OURS) == ours
        assert (job.status, job.args) == ("pending", (17,))


def test_a_queue_is_added_to_the_file_of_a_django_project(manage):
    manage("makemigrations shop", "migrate")
    theirs = asked("SELECT * FROM sqlite_master ORDER BY rowid")
    with closing(Queue(db_path="shop.db")) as queue:
        queue.migrate()
    assert asked("SELECT * FROM sqlite_master ORDER BY rowid")[: len(theirs)] == theirs
    assert "No changes detected" in manage("makemigrations")
