"""A queue that learns its store after it was made: at its first use, or by `configure`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption, UnknownOption


def task_of(queue):
    @queue.task
    def add(first: int, second: int) -> int:
        return first + second

    return add


def test_the_environment_is_read_at_the_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_URL", f"sqlite:///{tmp_path}/before.db")
    queue = Queue(durability="normal")
    add = task_of(queue)
    queue.every(60, args=(1, 2))(add)
    monkeypatch.setenv("MAINSPRING_URL", f"sqlite:///{tmp_path}/after.db")
    add.delay(1, 2)
    assert not (tmp_path / "before.db").exists()
    assert queue.url.endswith("after.db")
    queue.close()


def test_a_wrong_url_of_the_environment_is_named_at_the_first_use(monkeypatch):
    monkeypatch.setenv("MAINSPRING_URL", "nosql://")
    add = task_of(Queue())
    with pytest.raises(InvalidOption, match="nosql"):
        add.delay(1, 2)


def test_options_are_changed_before_the_first_use():
    queue = Queue("sqlite:///never-made.db", workers=1)
    add = task_of(queue)
    queue.configure("memory://", workers=3, keep_failed=timedelta(hours=1))
    assert queue.url == "memory://"
    assert queue.settings.workers == 3
    with queue.worker():
        assert add.delay(1, 2).result(10) == 3


def test_a_path_takes_the_place_of_a_url(tmp_path):
    queue = Queue("memory://", durability="normal")
    queue.configure(db_path=tmp_path / "jobs.db")
    task_of(queue).delay(1, 2)
    assert (tmp_path / "jobs.db").exists()
    queue.close()


@pytest.mark.parametrize("options", [{"url": "memory://"}, {"workers": 2}])
def test_after_the_first_use_it_comes_too_late(options):
    queue = Queue("memory://")
    task_of(queue).delay(1, 2)
    with pytest.raises(InvalidOption, match="too late: the queue has used memory://"):
        queue.configure(**options)


def test_a_refused_change_changes_nothing():
    queue = Queue("memory://", workers=1)
    with pytest.raises(InvalidOption, match="workers"):
        queue.configure("sqlite:///other.db", workers=-1)
    with pytest.raises(InvalidOption, match="url"):
        queue.configure("nosql://", workers=2)
    with pytest.raises(UnknownOption, match="wokers"):
        queue.configure(wokers=2)
    assert (queue.url, queue.settings.workers) == ("memory://", 1)


def test_what_was_never_used_is_closed_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Queue().close()
    assert list(tmp_path.iterdir()) == []
