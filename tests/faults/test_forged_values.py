"""Odd values in every column of every table: no view, command or worker breaks of them.

The columns are read from the schema, so a new one is covered by itself. Each row of a table gets
another of the values; `make test-long` writes one value at a time, which tells them apart.
"""

from __future__ import annotations

import asyncio
import io
import sqlite3
import time
import traceback
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from mainspring import Queue
from mainspring.cli.main import main
from mainspring.errors import MainspringError
from mainspring.model.job import Failure, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.note import Note
from mainspring.model.timetable import NewSchedule, RuleText
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.schema.migration import advance
from mainspring.web import create_task_worker_router

VALUES = {
    "NULL": "NULL",
    "the largest": "9223372036854775807",
    "the smallest": "-9223372036854775808",
    "9e18": "9000000000000000000",
    "-1": "-1",
    "2": "2",
    "7": "7",
    "a fraction": "1.5",
    "infinite": "9e999",
    "minus infinite": "-9e999",
    "a float beyond": "1e300",
    "no text": "''",
    "a word": "'odd'",
    "a number as text": "'12abc'",
    "many digits": "printf('%.*c', 5000, '7')",
    "a NUL": "'a' || char(0) || 'b'",
    "no UTF-8": "CAST(x'61ff62' AS TEXT)",
    "a surrogate": "CAST(x'eda080' AS TEXT)",
    "bytes": "x'80ff00'",
    "no bytes": "x''",
    "control characters": "char(27) || '[2J' || char(13, 10, 8238, 155) || 'odd'",
    "half of a JSON": """'{"type": '""",
    "the end of a row": "'[[],{}]],[0,0,1,0,1,1,1,0,0,7,[[],{}]'",
    "another JSON": "'[1, null, {\"a\": [2]}]'",
    "an object": """'{"tasks": 5, "slots": {"thread": {"size": "x"}}, "every": -1e999}'""",
    "a rule of no time": """'{"every": 1e-300}'""",
    "a rule of an odd place": """'{"cron": "61 * * * *", "tz": "../../etc"}'""",
    "too deep": "printf('%.*c', 20000, '[')",
    "deep enough": "printf('%.*c', 20000, '[') || printf('%.*c', 20000, ']')",
    "huge": "printf('%.*c', 200000, 'x')",
}
ROWS = len(VALUES)
PATIENCE = 20
TAKE_ALL = 10_000
SOME = 40
"""Of so many jobs one is shown by the command line: each costs some milliseconds."""

REFUSED = 2
LOOKS = {"ls", "show", "stats", "--json"}


def schema():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        advance(connection, 0)
        return [
            (table, row[1])
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            for row in connection.execute(f"PRAGMA table_info({table})").fetchall()
        ]


COLUMNS = schema()


class SqliteForger:
    """Writes values into a file as somebody does who heeds none of our rules."""

    def __init__(self, path):
        self.path = path

    def write(self, table, column, values):
        """Write each of the values into another row, again from the first; return how many."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            keys = self.keys_of(connection, table)
            rows = connection.execute(
                f"SELECT {', '.join(keys)} FROM {table} ORDER BY 1"
            ).fetchall()
            assert rows, f"nothing stands in {table}: seed it"
            where = " AND ".join(f"{key} = ?" for key in keys)
            written = 0
            for number, row in enumerate(rows):
                value = values[number % len(values)]
                with suppress(sqlite3.Error):  # NOT NULL, a key that is there, a key of a kind
                    written += connection.execute(
                        f"UPDATE {table} SET {column} = {value} WHERE {where}", row
                    ).rowcount
            return written

    @staticmethod
    def keys_of(connection, table):
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        return [row[1] for row in sorted(columns, key=lambda row: row[5]) if row[5]] or ["rowid"]


def seed(path):
    """Fill every table by ordinary use: of each kind of row as many as there are values."""
    store = SqliteStore(path, durability="normal")
    nodes = [
        store.join(f"n{number}", host="h", pid=number, lease=[0.0, 3600.0][number % 2])
        for number in range(2 * ROWS)
    ]
    store.leave(nodes.pop())

    def jobs(task, **terms):
        unique = terms.pop("unique", None)
        new = [
            NewJob(
                task,
                f"{task}-{number}",
                b"[[1],{}]",
                unique=unique and f"{unique}{number}",
                idempotency_key=unique and f"i{unique}{number}",
                **terms,
            )
            for number in range(ROWS)
        ]
        return store.enqueue_many(new)

    def claim(task, node):
        return store.claim(node, [Want((task,), None, TAKE_ALL)])

    def end(task, kind, **fields):
        store.finish_many(
            nodes[1],
            [Outcome(one.key, one.fence, kind, **fields) for one in claim(task, nodes[1])],
        )

    failure = Failure("builtins.ValueError", "why", "Traceback\n  line\n")
    for task, kind, fields in (
        ("completed", OutcomeKind.COMPLETED, {"result": b"1"}),
        ("kept", OutcomeKind.COMPLETED, {"result": b"1", "keep": 3600.0}),
        ("failed", OutcomeKind.FAILED, {"failure": failure}),
        ("retried", OutcomeKind.RETRY, {"failure": failure}),
    ):
        jobs(task, unique=task)
        end(task, kind, **fields)
    jobs("lost")
    doomed = store.join("doomed-1-00000000", host="h", pid=1, lease=3600.0)
    lines = ((0.0, "a"), (0.0, "b"))
    lost = claim("lost", doomed)
    assert len(lost) == ROWS
    store.note_many([Note(one.key, one.fence, 0.5, "half", lines) for one in lost])
    store.renew(doomed, lease=0.0)
    jobs("held")
    claim("held", nodes[1])
    jobs("later", delay=3600.0)
    jobs("due", delay=0.001)
    jobs("late", expires=0.001, delay=3600.0)
    jobs("ready", priority=3)
    store.cancel(jobs("cancelled"))
    store.declare(
        [
            NewSchedule(f"s{number}", RuleText(every=3600.0), "ready", "ready", b"[[1],{}]")
            for number in range(ROWS)
        ]
    )
    for number in range(ROWS):
        store.pause(f"paused-{number}")
    for number in range(ROWS):
        assert store.acquire(nodes[number | 1], f"lock-{number}")
    store.close()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "jobs.db"
    seed(path)
    return path


@pytest.fixture
def path(seeded, tmp_path):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(seeded)) as full, closing(sqlite3.connect(path)) as copy:
        full.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    return path


@pytest.fixture
def queue(path):
    queue = Queue(db_path=path, workers=2, durability="normal", grace=5, lease=1.5, heartbeat=0.3)

    @queue.task(name="honest", queue="honest", http=True)
    def honest(number):
        return number + 1

    for name in ("ready", "due", "retried", "lost", "held", "later"):
        queue.task(lambda number: number, name=name, retries=0, http=True)
    queue.every(seconds=3600, name="s1", args=(1,))(queue.get_task("ready"))
    yield queue
    queue.close()


def ids_of(queue):
    ids, cursor = [], None
    while True:
        page = queue.jobs(cursor=cursor, limit=100)
        ids += [job.id for job in page]
        cursor = page.cursor
        if cursor is None:
            return ids


def views(queue):
    """Every view of Python's, by its name."""
    yield "jobs", lambda: ids_of(queue)
    for status in ("pending", "running", "completed", "failed", "cancelled"):
        yield f"jobs {status}", lambda status=status: queue.jobs(status=status, limit=1000)
    yield "jobs of a queue", lambda: queue.jobs(queue="ready-1")
    yield "search", lambda: queue.jobs(search="why")
    yield "search of any letters", lambda: queue.jobs(search="naïve")
    yield "dead letters", lambda: list(queue.dead_letters())
    yield "each job", lambda: [each(queue, job_id) for job_id in ids_of(queue)]
    yield "stats", queue.stats
    yield "nodes", queue.nodes
    yield "paused", queue.paused
    yield "schedules", lambda: [told(one) for one in queue.schedules.values()]
    yield "examine", lambda: list(queue.examine())


def each(queue, job_id):
    job = queue.get_job(job_id)
    assert job is not None, f"{job_id} is listed, but not found"
    assert job.record.created_at.tzinfo is not None
    return job.history, job.log, job.status, repr(job.record), str(job.record.failure)


def told(schedule):
    with suppress(MainspringError):
        schedule.next(3)
    return schedule.rule, schedule.last_tick, schedule.paused


def commands(ids):
    """Every command of an operator."""
    for words in (
        ("jobs", "ls", "--limit", "1000"),
        ("jobs", "ls", "--status", "failed", "--search", "why"),
        ("queues", "ls"),
        ("queues", "stats"),
        ("nodes",),
        ("cron", "ls"),
        ("doctor",),
    ):
        yield words
        yield (*words, "--json")
    for job_id in ids:
        yield "jobs", "show", job_id
        yield "jobs", "show", job_id, "--json"
    yield ("jobs", "cancel", *ids[:5])
    yield ("jobs", "retry", "--all-failed")
    yield ("jobs", "rm", *ids[-5:])
    yield ("purge", "--older-than", "0")
    yield ("purge", "--status", "failed")
    yield ("queues", "resume", "paused-1")
    yield ("cron", "pause", "s3")
    yield ("cron", "run", "s5")


def run_command(words, path):
    """Run a command here; what it changes may be refused, with a sentence."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--db", str(path)])
    refused = code == REFUSED and LOOKS.isdisjoint(words) and "mainspring: error:" in err.getvalue()
    assert code in {0, 1} or refused, f"{words} ended with {code}: {err.getvalue()}"
    printed = out.getvalue().replace("\n", "")
    assert printed.isprintable(), f"{words} printed {set(filter(is_control, printed))}"


def is_control(letter):
    return not letter.isprintable()


async def look_over_http(queue):
    app = FastAPI()
    app.include_router(create_task_worker_router(queue))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/tasks")
        assert answer.status_code == 200
        for task in answer.json()["tasks"][:50]:
            assert (await client.get(f"/tasks/{task['id']}")).status_code in {200, 404}


def honest_work(queue):
    """Let a worker complete honest jobs beside it, and rescue the nodes that are lost."""
    task = queue.get_task("honest")
    with queue.worker():
        assert task.delay(1).result(timeout=PATIENCE) == 2
        assert [job.result(timeout=PATIENCE) for job in task.map([(0,), (1,)])] == [1, 2]
        deadline = time.monotonic() + PATIENCE
        # The first row stays as it was where its table takes no NULL, the first of the values.
        while any(node.name == "n0" for node in queue.nodes()):
            assert time.monotonic() < deadline, "the lost node was not rescued"
            time.sleep(0.01)


def broken(steps):
    """Return the error of each step that raises one, with its place."""
    errors = {}
    for name, step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is asked
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            errors[name] = f"{type(error).__name__}: {str(error)[:200]} at {place}"
    return errors


def everything(queue, path):
    yield from views(queue)
    yield "the listing", lambda: asyncio.run(look_over_http(queue))
    with suppress(Exception):  # then the view of jobs is broken, which is told already
        for words in commands(ids_of(queue)[::SOME]):
            yield " ".join(words[:4])[:60], partial(run_command, words, path)
    yield "work", lambda: honest_work(queue)
    yield "jobs afterwards", lambda: queue.jobs(limit=1000)
    yield "stats afterwards", queue.stats


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_odd_values_in_a_column_break_nothing(queue, path, table, column):
    SqliteForger(path).write(table, column, list(VALUES.values()))
    assert broken(everything(queue, path)) == {}


@pytest.mark.long
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_an_odd_value_in_a_column_breaks_nothing(queue, path, table, column, value):
    SqliteForger(path).write(table, column, [VALUES[value], column])
    assert broken(everything(queue, path)) == {}
