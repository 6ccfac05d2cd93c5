"""A store in which somebody has written odd values, and all that must not break of them.

Used by the tests of each kind of store, which fill it by `seed` and write into it as they can.
"""

from __future__ import annotations

import asyncio
import io
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache, partial
from pathlib import Path
from unittest import mock

import httpx
from fastapi import FastAPI

from mainspring import Queue
from mainspring.cli import parser
from mainspring.cli.main import main
from mainspring.errors import MainspringError
from mainspring.model.job import Failure, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.note import Note
from mainspring.model.timetable import NewSchedule, RuleText
from mainspring.web import create_task_worker_router

PATIENCE = 20
TAKE_ALL = 10_000
SHOWN = 10
"""About so many jobs are shown by the command line."""

ASKED = 20
"""About so many are asked for over HTTP."""

REFUSED = 2
LOOKS = {"ls", "show", "stats", "--json"}


def seed(store, rows):
    """Fill every table of a store by ordinary use: so many rows of each kind."""
    nodes = [
        store.join(f"n{number}", host="h", pid=number, lease=[0.0, 3600.0][number % 2])
        for number in range(2 * rows)
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
            for number in range(rows)
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
        jobs(task, unique=task, options=b'{"timeout":9.5,"tags":["a"]}')
        end(task, kind, **fields)
    jobs("lost")
    doomed = store.join("doomed-1-00000000", host="h", pid=1, lease=3600.0)
    lines = ((0.0, "a"), (0.0, "b"))
    lost = claim("lost", doomed)
    assert len(lost) == rows
    store.note_many([Note(one.key, one.fence, 0.5, "half", lines) for one in lost])
    store.renew(doomed, lease=0.0)
    jobs("held")
    claim("held", nodes[1])
    jobs("later", delay=3600.0)
    jobs("due", delay=0.001)
    jobs("late", expires=0.001, delay=3600.0)
    jobs("ready", priority=3, options=b'{"retries":1,"tags":["a","b"]}')
    store.cancel(jobs("cancelled"))
    store.declare(
        [
            NewSchedule(f"s{number}", RuleText(every=3600.0), "ready", "ready", b"[[1],{}]")
            for number in range(rows)
        ]
    )
    for number in range(rows):
        store.pause(f"paused-{number}")
        assert store.acquire(nodes[number | 1], f"lock-{number}")
        audit = f'{{"actor":"a","via":"v","action":"jobs rm","targets":["t{number}"],"count":1}}'
        store.add_entry("audit", audit.encode())
        for kind in ("window", "minute", "hour"):
            store.add_entry(kind, f'[1,[["q","t-{number}",1,0,0,0,[[9,1]],[[9,1]]]]]'.encode())


def make_queue(url):
    """Return a queue over the store, with the tasks of some of its jobs."""
    queue = Queue(url, workers=2, durability="normal", grace=5, lease=1.5, heartbeat=0.3)

    @queue.task(name="honest", queue="honest", http=True)
    def honest(number):
        return number + 1

    for name in ("ready", "due", "retried", "lost", "held", "later"):
        queue.task(lambda number: number, name=name, retries=0, http=True)
    queue.every(seconds=3600, name="s1", args=(1,))(queue.get_task("ready"))
    return queue


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
    yield "audit", lambda: list(queue.audit())
    yield "history", queue.stats_history
    yield "history of a month", lambda: queue.stats_history(30 * 86_400)
    yield "nodes", queue.nodes
    yield "locks", queue.locks
    yield "paused", queue.paused
    yield "schedules", lambda: [told(one) for one in queue.schedules.values()]
    yield "examine", lambda: list(queue.examine())


def some(items, number):
    """Return about so many of the items, from all over the list."""
    return items[:: max(1, len(items) // number)]


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
        ("stats",),
        ("audit",),
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


@cache
def parser_of(command, make=parser.parser):
    """Return the parser of a command, which is most of the time of a short one."""
    return make([command])


def run_command(words, url):
    """Run a command here; what it changes may be refused, with a sentence."""
    out, err = io.StringIO(), io.StringIO()
    parsers = mock.patch.object(parser, "parser", lambda words: parser_of(words[0]))
    with redirect_stdout(out), redirect_stderr(err), parsers:
        code = main([*words, "--url", url])
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
        for task in some(answer.json()["tasks"], ASKED):
            assert (await client.get(f"/tasks/{task['id']}")).status_code in {200, 404}


def honest_work(queue):
    """Let a worker complete honest jobs beside it, and rescue the nodes that are lost."""
    task = queue.get_task("honest")
    with queue.worker():
        assert task.delay(1).result(timeout=PATIENCE) == 2
        assert [job.result(timeout=PATIENCE) for job in task.map([(0,), (1,)])] == [1, 2]
        # In a line with forged ones.
        assert queue.get_task("ready").delay(5).result(timeout=PATIENCE) == 5
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


def everything(queue, url):
    """Every step that must break of nothing, by its name."""
    yield from views(queue)
    yield "the listing", lambda: asyncio.run(look_over_http(queue))
    with suppress(Exception):  # then the view of jobs is broken, which is told already
        for words in commands(some(ids_of(queue), SHOWN)):
            yield " ".join(words[:4])[:60], partial(run_command, words, url)
    yield "work", lambda: honest_work(queue)
    yield "jobs afterwards", lambda: queue.jobs(limit=1000)
    yield "stats afterwards", queue.stats
