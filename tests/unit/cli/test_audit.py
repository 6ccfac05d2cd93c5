"""The audit log of the command line: each command that changes something leaves an entry."""

import json
import os
import pwd
from types import SimpleNamespace

import pytest

from mainspring import Queue
from mainspring.cli.main import main
from mainspring.model.job import Outcome, OutcomeKind, Want

DB = ("--db", "jobs.db")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command in this process, on a file of this test."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(list(words))
        out = capsys.readouterr().out
        return SimpleNamespace(code=code, out=out, json="--json" in words and json.loads(out))

    return run


@pytest.fixture
def app(command):
    queue = Queue(db_path="jobs.db", durability="normal")
    send = queue.task(name="send", queue="mail")(lambda to: to)
    queue.stats()  # which makes the file
    yield SimpleNamespace(queue=queue, send=send)
    queue.close()


@pytest.fixture
def failed(app):
    """A job that has failed for good."""
    job, store = app.send.delay("nobody"), app.queue.store
    node = store.join("node", host="host", pid=1, lease=15)
    (claim,) = store.claim(node, [Want(("send",), None, 1)])
    store.finish_many(node, [Outcome(claim.key, claim.fence, OutcomeKind.FAILED)])
    store.leave(node)
    return job


def changes(command):
    return command("audit", *DB, "--json").json["changes"]


def test_each_command_that_changes_something_is_in_the_audit_log(app, failed, command):
    jobs = [app.send.using(delay=60).delay(f"to {number}") for number in range(4)]
    gone, moved, hurried, _ = (job.id for job in jobs)
    for words, action, targets in (
        (("jobs", "cancel", gone), "jobs cancel", [gone]),
        (("jobs", "reschedule", moved, "--delay", "9"), "jobs reschedule", [moved]),
        (("jobs", "run-now", hurried), "jobs run-now", [hurried]),
        (("jobs", "retry", failed.id), "jobs retry", [failed.id]),
        (("jobs", "retry", gone, "--args", '["you"]'), "jobs retry", [gone]),
        (("queues", "pause", "mail"), "queues pause", ["mail"]),
        (("queues", "resume", "mail"), "queues resume", ["mail"]),
        (("cron", "add", "s", "t", "--every", "60"), "cron add", ["s"]),
        (("cron", "change", "s", "--every", "90"), "cron change", ["s"]),
        (("cron", "pause", "s"), "cron pause", ["s"]),
        (("cron", "resume", "s"), "cron resume", ["s"]),
        (("cron", "run", "s"), "cron run", ["s"]),
        (("cron", "rm", "s"), "cron rm", ["s"]),
    ):
        assert command(*words, *DB).code == 0, words
        newest = changes(command)[0]
        assert (newest["action"], newest["targets"]) == (action, targets)
        assert (newest["via"], newest["count"]) == ("command line", 1)
    app.queue.cancel(moved)
    assert command("jobs", "rm", moved, *DB).code == 0
    app.queue.cancel(hurried)
    assert command("purge", "--status", "cancelled", "--task", app.send.name, *DB).code == 0
    purged, removed, *_ = changes(command)
    assert (removed["action"], removed["targets"]) == ("jobs rm", [moved])
    assert (purged["action"], purged["count"], purged["targets"]) == ("purge", 1, [])
    assert purged["details"] == {"status": "cancelled", "task": app.send.name}


def test_a_change_of_all_that_fit_has_the_filter(app, failed, command):
    assert command("jobs", "retry", "--all-failed", "--queue", "mail", *DB).code == 0
    (entry,) = changes(command)
    assert (entry["targets"], entry["details"]) == (
        [failed.id],
        {"status": "failed", "queue": "mail"},
    )


def test_who_it_was_is_what_the_system_says(app, command, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.delenv("SUDO_USER", raising=False)
    command("queues", "pause", "mail", *DB)
    user = pwd.getpwuid(os.getuid()).pw_name
    assert changes(command)[0]["actor"].startswith(f"{user}@")
    monkeypatch.setenv("SUDO_USER", "ana")
    command("queues", "resume", "mail", *DB)
    assert changes(command)[0]["actor"].endswith(" (sudo by ana)")


def test_arguments_are_not_in_the_audit_log(app, failed, command):
    command("jobs", "retry", failed.id, "--args", '["a secret"]', *DB)
    assert changes(command)[0]["details"] == {"arguments": "edited"}


@pytest.mark.parametrize(
    "words", [("jobs", "cancel", "1-x"), ("queues", "resume", "mail"), ("cron", "pause", "none")]
)
def test_what_changed_nothing_is_not_in_it(app, command, words):
    assert command(*words, *DB).code == 1
    assert changes(command) == []


def test_what_was_changed_before_a_name_that_is_refused_is_in_it(app, command):
    assert command("queues", "pause", "mail", "", *DB).code == 2
    assert app.queue.paused() == ["mail"]
    assert [one["targets"] for one in changes(command)] == [["mail"]]


def test_looks_are_not_in_it_and_the_table_says_the_same(app, command):
    command("queues", "pause", "mail", *DB)
    for words in (("jobs", "ls"), ("queues", "ls"), ("stats",), ("nodes",), ("doctor",)):
        command(*words, *DB)
    assert len(changes(command)) == 1
    assert "queues pause" in command("audit", *DB).out
    command("queues", "resume", "mail", *DB)
    page = command("audit", "--limit", "1", *DB, "--json").json
    older = command("audit", "--cursor", page["cursor"], *DB, "--json").json
    assert [one["action"] for one in older["changes"]] == ["queues pause"]
