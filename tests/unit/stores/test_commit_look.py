"""The cheap look for commits: it may look once too often, and never once too seldom."""

import os
import time

import pytest

from mainspring.stores.sqlite.file.commit_look import CommitLook


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "jobs.db-wal"
    path.write_bytes(b"log")
    return path


@pytest.fixture
def version():
    """What SQLite would answer, and how often it was asked."""

    class Version:
        number, asked = 1, 0

        def __call__(self):
            self.asked += 1
            return self.number

    return Version()


def set_age(log, seconds):
    moment = time.time_ns() - int(seconds * 1e9)
    os.utime(log, ns=(moment, moment))


def test_a_log_that_nobody_has_written_to_is_not_asked_about_again(log, version):
    set_age(log, 60)
    look = CommitLook(str(log), version)
    assert not look.changed()
    asked = version.asked
    assert not look.changed()
    assert version.asked == asked


def test_a_commit_is_noticed_once(log, version):
    set_age(log, 60)
    look = CommitLook(str(log), version)
    look.changed()
    version.number = 2
    set_age(log, 30)
    assert look.changed()
    assert not look.changed()


def test_a_second_commit_at_the_same_time_is_noticed(log, version):
    look = CommitLook(str(log), version)
    set_age(log, 0)
    moment = log.stat().st_mtime_ns
    look.changed()
    version.number = 2
    os.utime(log, ns=(moment, moment))
    assert look.changed()


def test_without_a_log_it_asks_each_time(tmp_path, version):
    look = CommitLook(str(tmp_path / "none"), version)
    assert not look.changed()
    version.number = 2
    assert look.changed()
