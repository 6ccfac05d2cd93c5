"""The operator's commands, against a real database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Queue
from mainspring.model.statistics import WINDOW, Tallies, Tally

APP = """
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal")

    @queue.task(retries=0)
    def divide(a, b):
        return a // b

    @queue.task(queue="mail")
    def send(to, subject="hello"):
        return f"sent to {to}"

    @queue.every(seconds=3600, name="hourly", args=("boss",), queue="mail")
    def report(to):
        return to
"""

DB = ("--db", "jobs.db")


@pytest.fixture
def app(make_app):
    return make_app(APP)


@pytest.fixture
def failed(app):
    """A job that has failed for good."""
    job = app.divide.delay(1, 0)
    with app.queue.worker(), pytest.raises(Exception, match="division"):
        job.result(timeout=20)
    return job


def test_it_is_said_why_a_job_does_not_run(app, command):
    job = app.send.delay("you")
    app.queue.pause("mail")
    said = command("jobs", "why", job.id, *DB)
    assert said.out.splitlines() == [
        "app.send, pending: queue mail is paused; resume it: mainspring queues resume mail",
        "app.send, pending: no worker is live; start one: mainspring worker",
    ]
    found = command("jobs", "why", job.id, *DB, "--json").json
    assert [reason["why"] for reason in found["reasons"]] == ["paused", "no worker"]
    assert (found["id"], found["status"]) == (job.id, "pending")
    missing = command("jobs", "why", "no-such-job", *DB)
    assert (missing.code, missing.out) == (1, "there is no job no-such-job\n")


def test_a_job_is_found_by_its_tag_and_shown_with_its_options(app, command):
    job = app.send.using(tags=["eu", "vip"], metadata={"order": 17}, retries=1).delay("you")
    app.send.delay("me")
    listed = command("jobs", "ls", *DB, "--tag", "vip")
    assert listed.out.splitlines()[0].split()[-1] == "TAGS"
    assert "eu, vip" in listed.out
    assert "TAGS" not in command("jobs", "ls", *DB, "--tag", "us").out
    (found,) = command("jobs", "ls", *DB, "--tag", "vip", "--json").json["jobs"]
    assert (found["id"], found["tags"], found["metadata"]) == (job.id, ["eu", "vip"], {"order": 17})
    assert found["options"] == {"retries": 1}
    lines = command("jobs", "show", job.id, *DB).out.splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if line)
    names = ("tags", "metadata", "options")
    assert [shown[name] for name in names] == ["eu, vip", '{"order":17}', '{"retries":1}']
    options = ("--tag", "cli", "--retries", "0", "--metadata", '{"order": 17}')
    enqueued = command("enqueue", "send", "--args", '["x"]', "--app", "app:queue", *options)
    found = app.queue.get_job(enqueued.out.split()[0])
    assert (found.tags, found.metadata) == (("cli",), {"order": 17})
    assert found.record.options.retries == 0


def test_a_schedule_is_added_listed_and_removed(app, command):
    add = ("cron", "add", "daily", "app.send", "--cron", "0 3 * * *", "--args", '["you"]', *DB)
    app.queue.stats()  # the file is there from now on
    assert command(*add).out == "daily added: 0 3 * * * (UTC), app.send\n"
    refused = command(*add)
    assert (refused.code, "0 3 * * * (UTC) of app.send" in refused.err) == (2, True)
    again = command(*add, "--replace", "--tz", "Europe/Prague", "--queue", "slow", "--json").json
    assert (again["rule"], again["queue"], again["added"]) == (
        "0 3 * * * (Europe/Prague)",
        "slow",
        True,
    )
    options = ("--priority", "4", "--unique", "k", "--expires", "60", "--retries", "1")
    more = ("--timeout", "5", "--keep-result", "60", "--metadata", '{"a": 1}', "--tag", "eu")
    given = command(*add, *options, *more, "--tag", "vip", "--replace", "--json").json
    assert (given["priority"], given["tags"], given["metadata"]) == (4, ["eu", "vip"], {"a": 1})
    of_jobs = {"unique": "app.send: k", "expires": 60, "retries": 1, "timeout": 5}
    of_jobs["keep_result"] = 60
    assert given["options"] == of_jobs
    assert command("cron", "ls", *DB, "--json").json[0]["options"] == of_jobs
    text = command("cron", "ls", *DB).out
    assert ("daily" in text, "OF JOBS" in text) == (True, True)
    assert command("cron", "add", "x", "app.send", *DB).code == 2
    assert command("cron", "rm", "daily", *DB).code == 0
    assert "daily" not in command("cron", "ls", *DB).out
    assert app.queue.stats()["pending"] == 0


def test_a_schedule_is_of_a_task_that_somebody_knows(app, command):
    add = ("cron", "add", "--app", "app:queue", "--every", "60", "--args", '["you"]')
    assert command(*add, "daily", "send").out == "daily added: every 60 s, app.send\n"
    assert "did you mean 'app.send'" in command(*add, "weekly", "app.sent").err


def test_a_schedule_that_was_added_is_changed(app, command):
    app.queue.stats()  # the file is there from now on
    rule = ("--cron", "0 3 * * *", "--tz", "Europe/Prague")
    options = ("--args", '["you"]', "--retries", "1", "--tag", "eu")
    command("cron", "add", "daily", "app.send", *rule, *options, *DB)
    command("cron", "pause", "daily", *DB)
    change = ("cron", "change", "daily")
    done = command(*change, "--cron", "30 8 * * *", "--priority", "4", *DB)
    assert done.out == "daily changed: 30 8 * * * (Europe/Prague), app.send\n"
    (now,) = command("cron", "ls", *DB, "--json").json
    assert (now["priority"], now["options"], now["tags"]) == (4, {"retries": 1}, ["eu"])
    assert now["paused"]
    here = ("--app", "app:queue")
    unset = ("--unset", "retries", "--unset", "tags", "--unset", "catch-up")
    moved = ("--task", "divide", "--args", "[6, 3]", *unset)
    now = command(*change, *moved, *here, "--json").json
    assert (now["task"], now["options"], now["tags"]) == ("app.divide", {}, [])
    assert app.queue.schedules["daily"].trigger().args == (6, 3)
    assert "did you mean 'app.send'" in command(*change, "--task", "app.sent", *here).err


def test_a_change_that_makes_no_sense_says_why(app, command):
    app.queue.stats()  # as above
    command("cron", "add", "daily", "app.send", "--every", "60", "--args", '["you"]', *DB)
    unknown = command("cron", "change", "weekly", "--every", "90", *DB)
    assert (unknown.code, "there is no schedule 'weekly'" in unknown.out) == (1, True)
    for words, message in (
        ((), "expected what is to change: cron, every"),
        (("--every", "60", "--cron", "* * * * *"), "not allowed with"),
        (("--retries", "1", "--unset", "retries"), "is given with --retries, too"),
        (("--unset", "cron"), "invalid choice"),
    ):
        refused = command("cron", "change", "daily", *words, *DB)
        assert (refused.code, message in refused.err) == (2, True), refused.err
    refused = command("cron", "change", "hourly", "--every", "90", "--app", "app:queue")
    assert (refused.code, "is declared by the code of this program" in refused.err) == (2, True)


def test_a_job_that_waits_is_moved(app, command):
    job, other = app.send.using(delay=3600).delay("you"), app.send.delay("me")
    assert command("jobs", "run-now", job.id, *DB).out == f"{job.id} may start now\n"
    assert job.run_at - job.created_at < timedelta(minutes=30)
    moved = command("jobs", "reschedule", job.id, other.id, "--delay", "90", *DB)
    assert moved.out.splitlines() == [f"{one.id} rescheduled" for one in (job, other)]
    assert job.run_at - job.created_at > timedelta(seconds=80)
    assert command("jobs", "reschedule", job.id, "--at", "2040-01-31T08:00+01:00", *DB).code == 0
    assert abs(job.run_at - datetime(2040, 1, 31, 7, tzinfo=UTC)) < timedelta(minutes=1)
    wrong = command("jobs", "reschedule", job.id, "--at", "tomorrow", *DB)
    assert (wrong.code, "expected a time such as 2030" in wrong.err) == (2, True)
    assert command("jobs", "reschedule", job.id, *DB).code == 2
    job.cancel()
    for verb in (("run-now",), ("reschedule", "--delay", "1")):
        refused = command("jobs", *verb, job.id, "no-such-job", *DB, "--json")
        assert (refused.code, refused.json) == (1, {job.id: False, "no-such-job": False})


def test_jobs_are_listed_by_status_task_and_page(app, command):
    jobs = [app.divide.delay(number, 1) for number in range(3)]
    app.send.delay("you")
    listed = command("jobs", "ls", *DB, "--task", "app.divide", "--limit", "2", "--json").json
    assert [job["id"] for job in listed["jobs"]] == [jobs[2].id, jobs[1].id]
    assert (listed["jobs"][0]["args"], listed["jobs"][0]["status"]) == ([2, 1], "pending")
    rest = command(
        "jobs", "ls", *DB, "--task", "app.divide", "--cursor", listed["cursor"], "--json"
    ).json
    assert ([job["id"] for job in rest["jobs"]], rest["cursor"]) == ([jobs[0].id], None)
    assert command("jobs", "ls", *DB, "--status", "failed", "--json").json["jobs"] == []
    search = ("jobs", "ls", *DB, "--search", jobs[0].id)
    assert command(*search, "--json").json["looked"] == 4
    assert "looked through 4 jobs" in command(*search).out
    text = command("jobs", "ls", *DB)
    assert text.code == 0
    assert "looked" not in text.out
    assert text.out.splitlines()[0].split()[:4] == ["ID", "TASK", "QUEUE", "STATUS"]
    assert jobs[0].id in text.out


def test_a_job_is_shown_with_its_history_and_traceback(failed, command):
    shown = command("jobs", "show", failed.id, *DB)
    assert shown.code == 0
    assert "ZeroDivisionError" in shown.out
    assert 'File "' in shown.out
    told = command("jobs", "show", failed.id, *DB, "--json").json
    ends = [attempt["outcome"] for attempt in told["history"]]
    assert [end for end in ends if end != "released"] == ["failed"]  # as in histories.py
    assert told["error"]["type"] == "builtins.ZeroDivisionError"


def test_a_job_that_is_not_there_is_exit_code_1(app, command):
    app.queue.stats()
    assert command("jobs", "show", "1-00000000", *DB).code == 1
    assert command("jobs", "cancel", "1-00000000", *DB).code == 1


def test_a_pending_job_is_cancelled_once(app, command):
    job = app.send.delay("you")
    assert command("jobs", "cancel", job.id, *DB).code == 0
    assert job.status == "cancelled"
    again = command("jobs", "cancel", job.id, *DB, "--json")
    assert (again.code, again.json) == (1, {job.id: False})


def test_a_failed_job_runs_again_with_other_arguments(app, failed, command):
    assert command("jobs", "retry", failed.id, "--app", "app:queue", "--args", "[6, 3]").code == 0
    assert (failed.status, failed.args) == ("pending", (6, 3))
    with app.queue.worker():
        assert failed.result(timeout=20) == 2


def test_all_failed_jobs_run_again(app, failed, command):
    other = app.send.delay("you")
    other.cancel()
    assert command("jobs", "retry", "--all-failed", *DB, "--json").json == {failed.id: True}
    assert (failed.status, other.status) == ("pending", "cancelled")


def test_only_a_job_that_has_ended_is_removed(app, failed, command):
    waiting = app.send.delay("you")
    removed = command("jobs", "rm", failed.id, waiting.id, *DB, "--json")
    assert (removed.code, removed.json) == (1, {failed.id: True, waiting.id: False})
    assert app.queue.get_job(failed.id) is None


def test_queues_are_paused_and_resumed(app, command):
    app.send.delay("you")
    assert command("queues", "pause", "mail", *DB).code == 0
    assert command("queues", "pause", "mail", *DB).code == 1
    listed = command("queues", "ls", *DB, "--json").json
    assert (listed["mail"]["paused"], listed["mail"]["pending"]) == (True, 1)
    assert "yes" in command("queues", "ls", *DB).out
    assert command("queues", "resume", "mail", *DB).code == 0
    assert app.queue.paused() == []


def test_stats_tell_of_jobs_that_nobody_knows(app, command):
    app.send.delay("you")
    assert command("stats", *DB, "--json").json["unclaimable"] == 1
    assert "1 job waits for a worker" in command("stats", *DB).out


def test_stats_tell_how_far_behind_the_workers_are(app, command):
    assert app.queue.stats()["oldest_ready"] is None
    app.send.delay("you")
    app.send.using(delay=60).delay("me")
    stats = command("stats", *DB, "--json").json
    assert (stats["ready"], stats["scheduled"], stats["pending"]) == (1, 1, 2)
    assert 0 <= stats["oldest_ready"] < 60
    (mail,) = stats["queues"].values()
    assert (mail["ready"], mail["scheduled"], mail["oldest_ready"]) == (1, 1, stats["oldest_ready"])
    assert (stats["workers"], stats["slots"]) == (0, {})
    assert "busy slots: none reported" in command("stats", *DB).out


def test_stats_tell_of_busy_slots(tmp_path, monkeypatch, command, gate, eventually):
    monkeypatch.chdir(tmp_path)
    queue = Queue(db_path="jobs.db", workers=3, heartbeat=0.1)
    job = queue.task(name="held")(lambda: gate.wait(30)).delay()
    with queue.worker():
        busy = {"size": 3, "busy": 1}
        eventually(lambda: command("stats", *DB, "--json").json["slots"].get("thread") == busy)
        assert "thread 1 of 3" in command("stats", *DB).out
        gate.set()
        job.result(timeout=10)
    queue.close()


def test_live_nodes_are_listed_and_asked_for_by_a_probe(app, command):
    app.queue.stats()
    assert command("nodes", *DB, "--here").code == 1
    with app.queue.worker():
        assert command("nodes", *DB, "--here").code == 0
        (node,) = command("nodes", *DB, "--json").json["nodes"]
        assert "app.send" in node["tasks"]


def test_who_holds_a_lock_is_listed_and_is_no_worker(app, command, eventually):
    began = datetime.now(UTC)
    with app.queue.lock("a lock") as held:
        eventually(lambda: [lock.since for lock in app.queue.locks() if lock.since])
        (lock,) = app.queue.locks()
        said = command("nodes", *DB, "--json").json
        assert said["nodes"] == []
        assert said["locks"] == [
            {
                "name": "a lock",
                "holder": lock.node_name,
                "fence": held.fence,
                "since": lock.since.isoformat().replace("+00:00", "Z"),
            }
        ]
        assert began <= lock.since <= datetime.now(UTC)
        assert f"holds lock a lock, fence {held.fence}, since" in command("nodes", *DB).out
        assert f"holds a lock since {lock.since:%Y-%m-%d}" in command("doctor", *DB).out
        assert command("nodes", *DB, "--here").code == 1


def test_the_doctor_says_so_of_a_lock_whose_holder_is_late(app, command):
    store = app.queue.store
    node = store.join("late", host="elsewhere", pid=1, lease=60.0, serves=b'{"queues":[]}')
    store.acquire(node, "a lock")
    store.renew(node, lease=0.0)
    findings = command("doctor", *DB, "--json").json
    (finding,) = [one for one in findings if one["check"] == "held lock"]
    assert (finding["level"], "did not renew its lease" in finding["says"]) == ("warning", True)


def test_a_schedule_is_listed_run_paused_and_removed(app, command):
    with app.queue.worker():
        (listed,) = command("cron", "ls", *DB, "--json").json
        assert (listed["name"], listed["rule"]) == ("hourly", "every 3600 s")
        assert len(listed["next_ticks"]) == 5
        job = app.queue.get_job(command("cron", "run", "hourly", *DB, "--json").json["id"])
        assert job.result(timeout=20) == "boss"
    assert command("cron", "pause", "hourly", *DB).code == 0
    assert command("cron", "pause", "hourly", *DB).code == 1
    assert "paused" in command("cron", "ls", *DB).out
    assert command("cron", "resume", "hourly", *DB).code == 0
    assert command("cron", "rm", "hourly", *DB).code == 0
    assert command("cron", "rm", "hourly", *DB).code == 1


def test_a_removed_schedule_that_code_declares_says_when_it_ticks_again(app, command):
    here = ("--app", "app:queue")
    listed = command("cron", "ls", *here).out
    assert ("when a worker starts" in listed, "OF JOBS" in listed) == (True, False)
    with app.queue.worker():
        assert "when a worker starts" not in command("cron", "ls", *here).out
    removed = command("cron", "rm", "hourly", *here)
    assert "declared by the code of --app: it comes back when a worker" in removed.err
    (listed,) = command("cron", "ls", *here, "--json").json
    assert (listed["kept"], listed["next_ticks"]) == (False, [])
    assert "when a worker starts" in command("cron", "ls", *here).out


def test_a_job_is_enqueued_and_its_arguments_are_checked(app, command):
    done = command("enqueue", "send", "--app", "app:queue", "--args", '["you"]', "--json")
    assert (done.code, done.json["task"], done.json["status"]) == (0, "app.send", "pending")
    wrong = command("enqueue", "send", "--app", "app:queue", "--kwargs", '{"whom": 1}')
    assert wrong.code == 2
    assert "signature" in wrong.err
    assert command("enqueue", "send", "--app", "app:queue", "--args", "you").code == 2
    assert "app.divide" in command("enqueue", "nothing", "--app", "app:queue").err


def test_enqueue_waits_for_the_result_if_asked_to(app, command):
    with app.queue.worker():
        done = command(
            "enqueue", "divide", "--app", "app:queue", "--args", "[6, 3]", "--wait", "20"
        )
        assert (done.code, done.out.split()[1:]) == (0, ["completed", "2"])
        failed = command(
            "enqueue", "divide", "--app", "app:queue", "--args", "[6, 0]", "--wait", "20"
        )
        assert (failed.code, failed.out.split()[1:]) == (1, ["failed"])


def test_a_wait_that_makes_no_sense_enqueues_nothing(app, command):
    given = ("enqueue", "divide", "--app", "app:queue", "--args", "[6, 3]")
    refused = command(*given, "--wait", "nan")
    assert (refused.code, "--wait" in refused.err) == (2, True)
    assert app.queue.stats()["pending"] == 0


def test_jobs_that_have_ended_are_purged(failed, command):
    assert command("purge", *DB, "--status", "failed", "--older-than", "60").out[0] == "0"
    assert command("purge", *DB, "--status", "failed", "--json").json == {"removed": 1}


@pytest.mark.parametrize(
    "words", [("jobs", "ls"), ("queues", "ls"), ("nodes",), ("cron", "ls"), ("doctor",), ("purge",)]
)
def test_no_command_makes_a_database(tmp_path, command, words):
    answer = command(*words, "--db", "nothing.db")
    assert answer.code == 2
    assert "there is no such file" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_finds_a_healthy_database_well(app, command):
    app.queue.stats()
    answer = command("doctor", *DB, "--json")
    assert answer.code == 0
    levels = {finding["check"]: finding["level"] for finding in answer.json}
    del levels["library"]  # that depends on the machine
    assert set(levels.values()) == {"ok"}


def test_the_doctor_warns_and_says_what_to_do(app, tmp_path, command):
    app.send.delay("you")
    app.queue.pause("mail")
    app.queue.close()
    (tmp_path / "jobs.db").chmod(0o644)
    answer = command("doctor", *DB)
    assert answer.code == 0
    for remedy in ("chmod 600", "mainspring worker", "mainspring queues resume mail --db jobs.db"):
        assert remedy in answer.out


def test_the_doctor_counts_no_worker_whose_lease_has_run_out(app, command):
    app.send.delay("you")
    app.queue._store.join("gone", host="h", pid=1, lease=-1, serves=b'{"tasks": ["app.send"]}')
    answer = command("doctor", *DB)
    assert "no worker is live, and 1 job waits" in answer.out
    assert "gone was killed, or did not renew its lease" in answer.out
    assert "takes its jobs over" not in answer.out


@pytest.fixture
def backlog(app, tmp_path):
    """Let three jobs of a queue be ready since so many seconds, with a worker that takes them."""
    serves = b'{"tasks": ["app.send"]}'
    app.queue.store.join("n1", host="h", pid=1, lease=60, serves=serves)

    def make(name, seconds):
        jobs = app.send.using(queue=name).map([("you",)] * 3)
        marks = ",".join("?" * len(jobs))
        micros = int(seconds * 1e6)
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
            keys = [job.record.key for job in jobs]
            database.execute(
                f"UPDATE mainspring_jobs SET run_at = run_at - ? WHERE key IN ({marks})",
                [micros, *keys],
            )

    return make


def test_the_doctor_names_a_queue_whose_jobs_wait_for_long(app, backlog, command):
    backlog("mail", 301.0)
    backlog("quick", 240.0)
    backlog("held", 900.0)
    app.queue.pause("held")
    app.divide.using(queue="nobodys").delay(1, 1)
    answer = command("doctor", *DB)
    assert answer.code == 0
    assert "mail has 3 ready jobs, the oldest for 5 min" in answer.out
    assert "mainspring worker --app module:queue --queues mail" in answer.out
    found = [one for one in command("doctor", *DB, "--json").json if one["check"] == "backlog"]
    assert len(found) == 1


@pytest.mark.parametrize(("ended", "grows"), [(0, True), (2_000, False)])
def test_the_doctor_names_a_queue_that_grows_at_an_earlier_time(
    app, backlog, command, ended, grows
):
    before, since, tally = Tallies(), Tallies(), Tally()
    before.sample([])
    app.queue.store.add_entry(WINDOW, before.text(), ago=600)
    tally.completed = ended
    since.lanes["mail", "app.send"] = tally
    app.queue.store.add_entry(WINDOW, since.text(), ago=10)
    backlog("mail", 61.0)
    answer = command("doctor", *DB)
    assert (
        "mail has 3 ready jobs, the oldest for 1 min, and grows: 0.3 a minute come, 0.0 end"
        in answer.out
    ) is grows


def test_the_doctor_tells_of_a_worker_that_misses_heartbeats(app, command):
    node = app.queue.store.join("n1", host="h", pid=1, lease=60)
    app.queue.store.renew(node, lease=60, report=b'{"lease": 600, "heartbeat": 5}')
    assert "n1 has missed heartbeats" in command("doctor", *DB).out
    app.queue.store.renew(node, lease=60, report=b'{"lease": 60, "heartbeat": 5}')
    assert "missed heartbeats" not in command("doctor", *DB).out


def test_the_doctor_has_nothing_done_to_a_file_of_another_program(tmp_path, command):
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    (tmp_path / "jobs.db").chmod(0o644)
    answer = command("doctor", *DB, "--json")
    assert answer.code == 1
    problem = answer.json[-1]
    assert problem["says"] == "it is another program's database, without tables of mainspring"
    assert problem["remedy"].startswith("check the path; mainspring migrate")
    assert "chmod" not in answer.out
    assert "it is a folder" in command("doctor", "--db", ".").out


def test_the_doctor_finds_an_empty_file_to_be_migrated(tmp_path, command):
    (tmp_path / "jobs.db").touch(mode=0o600)
    answer = command("doctor", *DB, "--json")
    assert [finding["check"] for finding in answer.json if finding["level"] == "problem"] == []


def test_a_reader_who_has_read_enough_is_no_error(app, tmp_path):
    app.send.map([("you" * 300,)] * 500)
    app.queue.close()
    script = f"{sys.executable} -m mainspring jobs ls --db jobs.db --json --limit 500 | head -n 1"
    command = ["bash", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_queue_in_memory_is_not_one_to_look_at(command):
    answer = command("jobs", "ls", "--url", "memory://")
    assert answer.code == 2
    assert "this process's memory" in answer.err


def test_a_job_that_is_gone_answers_for_its_idempotency_key(app, command):
    words = ("enqueue", "send", "--app", "app:queue", "--args", '["you"]', "--idempotency-key", "k")
    (job,) = app.queue.jobs() if command(*words).code == 0 else ()
    assert job.cancel()
    assert app.queue.drop(job) == 1
    answer = command(*words)
    assert answer.code == 1
    assert "not in the store any more" in answer.out
    assert command(*words, "--json").json == {"id": job.id, "status": None}


def test_the_doctor_finds_a_damaged_file(app, tmp_path, command):
    app.send.map([("you" * 100,)] * 500)
    app.queue.close()
    database = tmp_path / "jobs.db"
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\x55" * 4096 * 3
    database.write_bytes(content)
    answer = command("doctor", *DB)
    assert answer.code == 1
    assert "PROBLEM" in answer.out
    assert "backup" in answer.out


@pytest.mark.parametrize("words", [["--status", "failed", "lst"], ["--json", "ls"]])
def test_options_before_the_verb_are_told_where_they_belong(app, command, words):
    answer = command("jobs", *words)
    assert answer.code == 2
    assert "the verb comes first: mainspring jobs" in answer.err
    assert f"then {words[0]}" in answer.err


def test_a_finished_job_of_an_idempotency_key_is_said_to_be_the_one_of_before(failed, app, command):
    with app.queue.worker():
        job = app.divide.using(idempotency_key="once").delay(1, 0)
        with pytest.raises(Exception, match="division"):
            job.result(timeout=20)
    words = ("enqueue", "divide", "--args", "[1, 0]", "--idempotency-key", "once")
    said = command(*words, "--app", "app:queue").out
    assert said.startswith(f"{job.id} failed already: the job of this idempotency key")


def test_a_paused_queue_that_nobody_knows_is_told_with_those_there_are(app, command):
    answer = command("queues", "pause", "zzz", "--app", "app:queue")
    assert (answer.code, answer.out) == (0, "zzz paused\n")
    assert "there is no queue 'zzz'" in answer.err
    assert "there is 'default', 'mail'" in answer.err


def test_a_killed_worker_of_this_host_is_live_no_more(app, command, tmp_path):
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, app\nwith app.queue.worker():\n    os.kill(os.getpid(), 9)",
        ],
        cwd=tmp_path,
        check=False,
    )
    assert dead.returncode == -9
    (node,) = app.queue.nodes()
    assert not node.live
    assert app.queue.stats()["workers"] == 0
    assert command("nodes", "--here", *DB).code == 1
    assert "was killed" in command("doctor", *DB).out
    assert command("nodes", *DB, "--json").json["nodes"][0]["state"] == "lost"


def test_a_worker_that_was_killed_and_rescued_is_told_of(app, command, tmp_path, eventually):
    body = """
        import os, app
        @app.queue.task(name="app.last")
        def last():
            os.kill(os.getpid(), 9)
        last.delay()
        app.queue.run_worker()
    """
    code = textwrap.dedent(body)
    dead = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert dead.returncode == -9
    (killed,) = app.queue.nodes()
    with app.queue.worker():
        eventually(app.queue.lost_nodes)
    (lost,) = command("nodes", *DB, "--json").json["lost"]
    assert (lost["name"], lost["host"], lost["pid"]) == (killed.name, killed.host, killed.pid)
    assert (lost["requeued"], lost["failed"]) == (1, 0)
    said = command("nodes", *DB, "--here").out
    assert f"ago: node {killed.name} (process {killed.pid} on {killed.host}) was lost" in said
    assert "1 job rescued" in said
