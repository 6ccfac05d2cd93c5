"""Jobs that a command is about: by id, or by a filter with a count first; and what fails most."""

import json
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

from mainspring import Queue
from mainspring.cli.main import main
from mainspring.cli.text import progress
from mainspring.model.job import Failure, Outcome, OutcomeKind, Want
from mainspring.model.note import Note
from mainspring.stores.sqlite import SqliteStore

DB = ("--db", "jobs.db")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command in this process, on a file of this test."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        found = json.loads(out) if "--json" in words else None
        return SimpleNamespace(code=code, out=out, err=err, json=found)

    return run


@pytest.fixture
def app(command):
    queue = Queue(db_path="jobs.db", durability="normal")
    send = queue.task(name="send", queue="mail")(lambda to: to)
    queue.task(name="divide")(lambda a, b: a // b)
    yield SimpleNamespace(queue=queue, send=send)
    queue.close()


@pytest.fixture
def failed(app):
    """A job that has failed for good."""
    job, store = app.queue.get_task("divide").delay(1, 0), app.queue.store
    node = store.join("node", host="host", pid=1, lease=15)
    (claim,) = store.claim(node, [Want(("divide",), None, 1)])
    failure = Failure("builtins.ZeroDivisionError", "integer division by 0")
    outcome = Outcome(claim.key, claim.fence, OutcomeKind.FAILED, failure=failure)
    store.finish_many(node, [outcome])
    store.leave(node)
    return job


@pytest.mark.parametrize("verb", ["retry", "cancel", "rm", "run-now"])
def test_a_change_wants_ids_or_a_filter(verb, failed, command):
    for words in ((), (failed.id, "--queue", "mail")):
        unclear = command("jobs", verb, *words, *DB)
        assert unclear.code == 2
        assert "name their ids, or give a filter" in unclear.err


def test_jobs_are_changed_by_filter_after_they_are_counted(app, failed, command, monkeypatch):
    app.send.map([("a",), ("b",)])
    filters = ("--error", "zerodivision", "--since", "1h")
    assert command("jobs", "retry", *filters, "--count", *DB).out == "1 job fits\n"
    assert command("jobs", "retry", *filters, "--count", *DB, "--json").json == {"count": 1}
    refused = command("jobs", "retry", *filters, *DB)
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert command("jobs", "retry", "--until", "1h", "--yes", *DB).out == "no job fits\n"
    assert failed.refresh().status == "failed"
    assert command("jobs", "retry", *filters, "--yes", *DB, "--json").json == {failed.id: True}
    moved = command("jobs", "reschedule", "--queue", "mail", "--delay", "60", "--yes", *DB)
    assert moved.out == "2 jobs: rescheduled\n"
    ranked = command("jobs", "reprioritize", "--task", "send", "--priority", "-5", "--yes", *DB)
    assert (ranked.code, ranked.out) == (0, "2 jobs: given another priority\n")
    assert {job.record.priority for job in app.queue.jobs(queue="mail")} == {-5}
    assert command("jobs", "run-now", "--queue", "mail", "--yes", *DB).code == 0
    assert command("jobs", "cancel", "--queue", "mail", "--yes", *DB).code == 0
    assert app.queue.stats()["cancelled"] == 2
    assert "say by --status" in command("jobs", "rm", "--queue", "mail", "--yes", *DB).err
    done = command("jobs", "rm", "--status", "cancelled", "--queue", "mail", "--yes", *DB)
    assert (done.code, app.queue.stats()["cancelled"]) == (0, 0)
    for status in ("running", "pending"):
        wrong = command("jobs", "rm", "--status", status, "--yes", *DB)
        assert (wrong.code, "not for" in wrong.err) == (2, True)


def test_somebody_at_a_terminal_is_asked(app, command, monkeypatch):
    class Terminal:
        def __init__(self, *answers):
            self.answers = list(answers)

        def isatty(self):
            return True

        def readline(self):
            return self.answers.pop(0)

    app.send.map([("a",), ("b",)])
    monkeypatch.setattr(sys, "stdin", Terminal("\n", "\n", "y\n"))
    asked = command("jobs", "cancel", "--queue", "mail", *DB)
    assert (asked.out, asked.err) == ("", "2 jobs fit; cancel them? [y/N]\n")
    assert command("jobs", "cancel", "--queue", "mail", *DB, "--json").json == {}
    assert app.queue.stats()["pending"] == 2
    command("jobs", "cancel", "--queue", "mail", *DB)
    assert app.queue.stats()["cancelled"] == 2


@pytest.mark.parametrize(("verb", "fit"), [("cancel", 1), ("rm", 1), ("retry", 1), ("run-now", 1)])
def test_jobs_that_are_named_are_only_counted_if_that_is_asked_for(verb, fit, app, failed, command):
    waiting = app.send.delay("you")
    words = ("jobs", verb, waiting.id, failed.id, failed.id, "no-such-job", "--count", *DB)
    assert (command(*words).out, command(*words, "--json").json) == ("1 job fits\n", {"count": fit})
    assert (waiting.refresh().status, failed.refresh().status) == ("pending", "failed")
    wrong = command("jobs", "retry", failed.id, "--args", "[1, 2]", "--count", *DB)
    assert (wrong.code, failed.refresh().status) == (2, "failed")


def test_what_is_not_there_is_said_as_json_if_that_is_asked_for(app, command):
    app.send.delay("you")
    for verb in ("show", "why"):
        gone = command("jobs", verb, "no-such-job", *DB, "--json")
        assert (gone.code, gone.json) == (1, {"id": "no-such-job", "status": None})
    gone = command("jobs", "stack", "no-such-job", *DB, "--json")
    assert (gone.code, gone.json["id"], gone.json["stack"]) == (1, "no-such-job", None)


@pytest.mark.parametrize("words", ["jobs show", "jobs cancel", "jobs rm", "cron pause", "cron run"])
def test_a_word_that_is_no_text_is_said_as_json(words, app, command):
    app.send.delay("you")
    answer = command(*words.split(), "\udcff", *DB, "--json")
    assert answer.code == 1
    assert "\\udcff" in str(answer.json)


def test_a_command_that_is_named_as_a_remedy_can_be_pasted(app, command):
    job = app.send.using(queue="a b").delay("you")
    app.queue.pause("a b")
    for words in (("stats",), ("doctor",), ("jobs", "why", job.id)):
        assert "mainspring queues resume 'a b'" in command(*words, *DB).out


def test_a_time_that_is_none_is_refused(app, command):
    app.send.delay("you")
    for said in ("yesterday", "1w", "99999999999d"):
        wrong = command("jobs", "ls", "--since", said, *DB)
        assert (wrong.code, "--since" in wrong.err) == (2, True)


def test_failures_are_grouped_by_task_and_error(failed, command):
    (group,) = command("failures", *DB, "--json").json["groups"]
    assert (group["count"], group["task"]) == (1, "divide")
    assert (group["error"], group["samples"]) == ("ZeroDivisionError", [failed.id])
    assert group["since"] == group["last"]
    assert "ZeroDivisionError: integer division" in command("failures", *DB).out
    assert command("failures", "--task", "send", *DB, "--json").json["groups"] == []


def test_what_is_stuck_or_paused_is_seen_in_a_list(app, command):
    store = app.queue.store
    app.send.delay("you")
    node = store.join("node", host="host", pid=1, lease=15)
    assert store.claim(node, [Want(("send",), None, 1)])
    app.queue.pause("mail")
    assert "running for " in command("jobs", "ls", *DB).out
    said = "queue mail is paused; to go on: mainspring queues resume mail"
    assert said in command("stats", *DB).out


def test_what_a_job_says_is_shown_also_without_a_fraction(app, command):
    job, store = app.send.delay("you"), app.queue.store
    node = store.join("node", host="host", pid=1, lease=15)
    (claim,) = store.claim(node, [Want(("send",), None, 1)])
    store.note_many([Note(claim.key, claim.fence, 0.0, "reading the list", ())])
    assert "0% reading the list" in command("jobs", "show", job.id, *DB).out


def test_the_stack_of_a_running_body_is_printed(app, command, monkeypatch):
    monkeypatch.setattr("mainspring.engine.upkeep.stack_dumps.LONG_SECONDS", 0.0)
    monkeypatch.setattr("mainspring.engine.consumer.STACK_SECONDS", 0.05)
    begun, gate = threading.Event(), threading.Event()
    task = app.queue.task(name="blocks")(lambda: (begun.set(), gate.wait(30)))
    job = task.delay()
    assert command("jobs", "stack", job.id, *DB).code == 1
    with app.queue.worker():
        assert begun.wait(20)
        found = command("jobs", "stack", job.id, *DB)
        gate.set()
        job.result(timeout=20)
    assert (found.code, "gate.wait(30)" in found.out) == (0, True)


@pytest.fixture
def pieces(monkeypatch):
    """Let changes be made of two jobs at a time, with a word about each."""
    monkeypatch.setattr(progress, "PIECE", 2)
    monkeypatch.setattr(progress, "SILENT_SECONDS", -1.0)


@pytest.mark.parametrize(
    ("verb", "more", "left"),
    [("run-now", (), "pending"), ("cancel", (), "cancelled"), ("retry", ("--yes",), "pending")],
)
def test_a_change_of_many_says_how_far_it_is(app, command, pieces, verb, more, left):
    jobs = app.send.using(delay=60).map([(one,) for one in "abcde"])
    if verb == "retry":
        app.queue.cancel(jobs)
        more = ("--status", "cancelled", *more)
    done = command("jobs", verb, "--queue", "mail", "--yes", *more, *DB)
    assert done.err.splitlines() == [f"{verb}: {one} of 5 jobs so far" for one in (0, 2, 4)]
    assert [job.refresh().status for job in jobs] == [left] * 5
    assert [entry.count for entry in app.queue.audit()] == [5]


def test_what_was_changed_before_an_interruption_is_in_the_audit_log(
    app, command, pieces, monkeypatch
):
    jobs, cancel, calls = app.send.map([(one,) for one in "abcde"]), SqliteStore.cancel, []

    def breaks(self, ids):
        calls.append(ids)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return cancel(self, ids)

    monkeypatch.setattr(SqliteStore, "cancel", breaks)
    with suppress(KeyboardInterrupt):
        command("jobs", "cancel", "--queue", "mail", "--yes", *DB)
    (entry,) = app.queue.audit()
    assert sorted(entry.targets) == sorted(job.id for job in jobs[3:])
    assert app.queue.stats()["cancelled"] == 2


def test_jobs_are_removed_by_a_filter_in_a_few_transactions(app, command, monkeypatch):
    app.queue.cancel(app.send.map([(one,) for one in range(60)]))
    drop, sizes = SqliteStore.drop, []

    def counted(self, ids):
        sizes.append(len(ids))
        if len(sizes) == 1:  # another is faster with one of them
            drop(self, ids[:1])
        return drop(self, ids)

    monkeypatch.setattr(SqliteStore, "drop", counted)
    done = command("jobs", "rm", "--status", "cancelled", "--yes", *DB)
    assert (done.code, done.out) == (0, "60 jobs: removed\n")
    assert sizes[0] > 1
    assert sum(sizes) == 60
    assert app.queue.stats()["cancelled"] == 0
