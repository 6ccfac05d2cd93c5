"""A name that nobody knows is told, with what may have been meant; what is known is not."""

from __future__ import annotations

import pytest

from mainspring import Queue
from mainspring.cli.main import main


@pytest.fixture
def queue(tmp_path):
    queue = Queue(db_path=tmp_path / "jobs.db", durability="normal", workers=1)
    queue.task(name="mail.send", queue="mail")(lambda: 1)
    queue.stats()
    yield queue
    queue.close()


CALLS = {
    "pause": lambda queue, name: queue.pause(name),
    "resume": lambda queue, name: queue.resume(name),
    "jobs": lambda queue, name: queue.jobs(queue=name),
    "dead_letters": lambda queue, name: queue.dead_letters(queue=name),
    "purge": lambda queue, name: queue.purge(queue=name),
    "worker": lambda queue, name: queue.worker([name]).__enter__(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_queue_that_nobody_knows_is_told_with_one_that_is_near(queue, caplog, call):
    try:
        CALLS[call](queue, "mial")
        assert "there is no queue 'mial'" in caplog.text
        assert "did you mean 'mail'?" in caplog.text
        caplog.clear()
        CALLS[call](queue, "mail")
        assert "there is no" not in caplog.text
    finally:
        queue.shutdown()


@pytest.mark.parametrize("call", ["jobs", "dead_letters", "purge"])
def test_a_task_that_nobody_knows_is_told(queue, caplog, call):
    getattr(queue, call)(task="mail.sent")
    assert "there is no task 'mail.sent'" in caplog.text
    assert "did you mean 'mail.send'?" in caplog.text
    caplog.clear()
    getattr(queue, call)(task="mail.send")
    assert not caplog.text


def test_a_name_that_only_the_store_or_a_worker_knows_is_known(queue, tmp_path, caplog):
    other = Queue(db_path=tmp_path / "jobs.db")
    queue.get_task("mail.send").using(queue="slow").delay()
    other.pause("slow")
    other.jobs(status="failed", task="mail.send")
    with queue.worker():
        other.jobs(task="mail.send", status="failed")
    assert "there is no" not in caplog.text
    other.close()


def test_a_queue_is_paused_before_its_first_job(queue, caplog):
    assert queue.pause("later")
    assert "there is no queue 'later'" in caplog.text
    assert queue.paused() == ["later"]


def test_who_removes_a_schedule_learns_which_workers_declare_it(
    queue, tmp_path, caplog, capsys, eventually
):
    queue.every(0.2, name="poll")(queue.get_task("mail.send"))
    db = str(tmp_path / "jobs.db")
    with queue.worker():
        [node] = queue.nodes()
        eventually(lambda: queue.schedules["poll"].last_tick)
        assert main(["cron", "rm", "poll", "--db", db]) == 0
        assert f"poll is declared by the code of {node.name}" in caplog.text
    assert "removed" in capsys.readouterr().out
    caplog.clear()
    assert main(["cron", "rm", "poll", "--db", db]) == 1
    assert not caplog.text
