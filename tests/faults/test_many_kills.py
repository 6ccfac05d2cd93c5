"""Workers and producers killed at random moments, with work of every kind; then the ledger is read.

`kill_harness/` holds the app and the producer, which note what they do. Moments and numbers come
from a fixed seed; what they hit depends on the machine. With `-s` the test prints its figures.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mainspring import JobState, Queue
from mainspring.cli.demo.processes import children_of, still_alive

HARNESS = Path(__file__).with_name("kill_harness")
SEED = 20_251_128
FEWEST_CRASHES_TO_FAIL = 3
PRODUCER_NUMBERS = 1_000_000
ORPHAN_SECONDS = 3.0
START_SECONDS = 60.0
LIVE = {JobState.PENDING, JobState.RUNNING}
SCHEDULED = {"app.tick", "app.beat"}
MICROSECONDS = 1_000_000
UNWRITTEN_SECONDS = 0.5
"""So long after the board's note, on a loaded machine, a body may not have written its first line.

The note says that the child has its task imported and is about to be asked, or the thread to call.
"""

NOTE_TICKS = """
CREATE TABLE ticks (schedule TEXT, since INT, until INT);
CREATE TRIGGER note_ticks AFTER UPDATE OF last_tick ON mainspring_schedules
WHEN new.last_tick <> old.last_tick
BEGIN INSERT INTO ticks VALUES (new.name, old.last_tick, new.last_tick); END;
"""


@dataclass(frozen=True)
class Plan:
    """How many kills, seconds between two of them, jobs a second, workers at a time."""

    kills: int
    rests: tuple[float, ...]
    rate: float
    crowds: tuple[int, ...]
    drain_seconds: float


SHORT = Plan(6, rests=(0.4, 0.8, 1.2), rate=60, crowds=(2,), drain_seconds=40)
LONG = Plan(300, rests=(0.05, 0.3, 0.8, 1.2, 2.0), rate=60, crowds=(1, 2, 3, 3), drain_seconds=240)


@dataclass
class Killer:
    """Starts workers and a producer in a folder, and kills them."""

    folder: Path
    plan: Plan
    rng: random.Random
    workers: list = field(default_factory=list)
    producer: subprocess.Popen | None = None
    killed: dict = field(default_factory=dict)
    killed_at: dict = field(default_factory=dict)
    producers: int = 0
    orphans: set = field(default_factory=set)

    def run(self):
        with (self.folder / "log").open("wb") as self.log:
            self.start_workers(max(self.plan.crowds))
            self.start_producer()
            self.wait_for_work()
            for number in range(self.plan.kills):
                time.sleep(self.rng.choice(self.plan.rests))
                self.kill_worker()
                if number % 4 == 3:
                    self.kill_producer()
                    self.start_producer()
                self.start_workers(self.rng.choice(self.plan.crowds))
            self.kill_producer()
            self.start_workers(2)

    def wait_for_work(self):
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "ledger").exists():
            assert time.monotonic() < deadline, "no job has begun"
            time.sleep(0.01)

    def start(self, *words):
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def start_workers(self, count):
        while len(self.workers) < count:
            self.workers.append(self.start("-m", "mainspring", "worker", "--app", "app:queue"))

    def start_producer(self):
        first = self.producers * PRODUCER_NUMBERS
        self.producer = self.start("producer.py", str(first), str(self.plan.rate))
        self.producers += 1

    def kill_worker(self):
        victim = self.workers.pop(self.rng.randrange(len(self.workers)))
        children = children_of(victim.pid)
        assert victim.poll() is None, f"a worker ended by itself, with {victim.returncode}"
        victim.kill()
        self.killed[victim.pid] = time.monotonic()
        self.killed_at[victim.pid] = datetime.now(UTC)
        victim.wait()
        self.orphans |= still_alive(children, ORPHAN_SECONDS)

    def kill_producer(self):
        assert self.producer.poll() is None, f"a producer ended: {self.producer.returncode}"
        self.producer.kill()
        self.producer.wait()

    def stop(self):
        """Stop the workers; return their exit codes."""
        children = set().union(*(children_of(one.pid) for one in self.workers))
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(30) for worker in self.workers]
        self.orphans |= still_alive(children, ORPHAN_SECONDS)
        return codes

    def end(self):
        for process in [*self.workers, self.producer]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


class Ledger:
    """What the files of the harness and the store say, side by side."""

    def __init__(self, killer):
        self.folder = folder = killer.folder
        self.killed, self.killed_at = killer.killed, killer.killed_at
        self.calls = [line.split() for line in _lines(folder / "calls")]
        boards = (line.split() for line in _lines(folder / "board"))
        self.noted = {(key, fence, pid): float(at) for key, fence, pid, at in boards}
        self.notes = defaultdict(list)
        for what, job_id, worker, at in (line.split() for line in _lines(folder / "ledger")):
            self.notes[job_id].append((float(at), what, int(worker)))
        with closing(Queue(db_path=folder / "jobs.db")) as queue:
            self.jobs = {job.id: (record, job.history) for job, record in _all_jobs(queue)}

    def records(self, task):
        return [record for record, _ in self.jobs.values() if record.task == f"app.{task}"]

    def lost(self):
        """Return the ids that a producer was given and the store has not."""
        return [words[2] for words in self.calls if words[0] == "ack" and words[2] not in self.jobs]

    def torn_batches(self):
        """Return the batches of which the store has a part."""
        numbers = {json.loads(record.payload)[0][0] for record in self.records("in_thread")}
        for first, count in (map(int, words[1:]) for words in self.calls if words[0] == "batch"):
            kept = numbers.intersection(range(first, first + count))
            if len(kept) not in (0, count):
                yield first, count, len(kept)

    def recorded_twice(self):
        """Return the jobs with more than one completion."""
        for job_id, (_, history) in self.jobs.items():
            if sum(str(attempt.outcome) == "completed" for attempt in history) > 1:
                yield job_id

    def mistaken_books(self):
        """Return the jobs whose own writes are not there exactly once, if they are completed."""
        with closing(sqlite3.connect(self.folder / "jobs.db")) as connection:
            rows = Counter(job for (job,) in connection.execute("SELECT job FROM books"))
        for record in self.records("booked"):
            if rows[record.id] != (record.state is JobState.COMPLETED):
                yield record.id, record.state, rows[record.id]

    def wrongly_failed(self):
        """Return the jobs that failed, but were not begun by so many workers that died."""
        for job_id, (record, _) in self.jobs.items():
            if record.state is JobState.FAILED and self.deaths(job_id) < FEWEST_CRASHES_TO_FAIL:
                yield job_id, record.task, record.failure

    def wrongly_counted(self):
        """Return the completed jobs with another number of attempts than their bodies made."""
        for record, _ in self.jobs.values():
            expected = 3 if record.task == "app.retried" else 1
            if record.state is JobState.COMPLETED and record.attempts != expected:
                yield record.id, record.task, record.attempts

    def charged_unbegun(self):
        """Return the crashes charged to attempts whose bodies wrote no line.

        With each: the seconds from the note on the board to the death of its worker.
        """
        for job_id, (record, history) in self.jobs.items():
            begun = {worker for _, what, worker in self.notes[job_id] if what == "begin"}
            for attempt in history:
                pid = int(attempt.node.split("-")[-2]) if attempt.node else None
                if str(attempt.outcome) == "crashed" and pid not in begun:
                    noted = self.noted[job_id.partition("-")[0], str(attempt.number), str(pid)]
                    yield job_id, record.task, self.killed[pid] - noted

    def deaths(self, job_id):
        """Return how many of the job's bodies were begun in workers that were killed."""
        return sum(what == "begin" and one in self.killed for _, what, one in self.notes[job_id])

    def unfinished(self):
        """Return the live jobs that are not the tick of a moment ago."""
        for record, _ in self.jobs.values():
            if record.state in LIVE and record.task not in SCHEDULED:
                yield record.id, record.task, record.state

    def ticks(self, schedule):
        """Return how many jobs each tick should have made, and how many it did, in order."""
        with closing(sqlite3.connect(self.folder / "jobs.db")) as connection:
            statement = "SELECT since, until FROM ticks WHERE schedule = ? ORDER BY rowid"
            steps = connection.execute(statement, (schedule,)).fetchall()
        assert all(one[1] == other[0] for one, other in itertools.pairwise(steps)), steps
        due = [until // MICROSECONDS - since // MICROSECONDS for since, until in steps]
        made = Counter(record.created_at for record in self.records(schedule))
        return due, [made[moment] for moment in sorted(made)]

    def overlapping(self):
        """Return the unique jobs that were live beside another of their key."""
        lives = defaultdict(list)
        for record in self.records("unique"):
            lives[json.loads(record.payload)[0][2]].append(record)
        for key, records in lives.items():
            records.sort(key=lambda record: record.created_at)
            for one, other in itertools.pairwise(records):
                if one.completed_at is None or other.created_at < one.completed_at:
                    yield key, one.id, other.id

    def rescues(self):
        """Return the seconds from a kill until what it had interrupted could run again."""
        for _, history in self.jobs.values():
            for attempt in history:
                if str(attempt.outcome) == "crashed":
                    pid = int(attempt.node.split("-")[-2])
                    yield (attempt.ended_at - self.killed_at[pid]).total_seconds()

    def redeliveries(self):
        """Return the seconds from a kill to the next beginning of what it had interrupted."""
        for notes in self.notes.values():
            notes.sort()
            ended = {worker for _, what, worker in notes if what == "end"}
            for at, what, worker in notes:
                if what == "begin" and worker in self.killed and worker not in ended:
                    later = [when for when, word, _ in notes if word == "begin" and when > at]
                    after = [when for when in later if when > self.killed[worker]]
                    yield from [after[0] - self.killed[worker]] if after else []


def _lines(path):
    # A killed process may have left half a line.
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _all_jobs(queue):
    cursor = None
    while True:
        page = queue.jobs(limit=1000, cursor=cursor)
        yield from zip(page, page.records, strict=True)
        cursor = page.cursor
        if cursor is None:
            return


def _busy(queue):
    return [
        record
        for status in LIVE
        for record in queue.jobs(status=status, limit=20).records
        if record.task not in SCHEDULED
    ]


def _spread(seconds):
    ordered = sorted(seconds)
    at = [ordered[int((len(ordered) - 1) * part)] for part in (0.5, 0.9, 0.99, 1.0) if ordered]
    return f"{len(ordered)}; at 0.5, 0.9, 0.99, 1.0: {', '.join(f'{one:.2f} s' for one in at)}"


def _print_figures(ledger, killer):
    records = [record for record, _ in ledger.jobs.values()]
    print(  # noqa: T201  # figures are what the long form is for
        f"\n{len(killer.killed)} workers and {killer.producers} producers killed;"
        f" {len(records):,} jobs: {dict(Counter(str(record.state) for record in records))}"
        f"\ncrashes charged {sum(record.crashes for record in records)},"
        f" without a line of the body {list(ledger.charged_unbegun())}"
        f"\nfrom the kill until it can run again: {_spread(ledger.rescues())}"
        f"\nfrom the kill until it begins again: {_spread(ledger.redeliveries())}"
        f"\nticks {len(ledger.records('tick'))}, beats {len(ledger.records('beat'))};"
        f" orphans {len(killer.orphans)}"
    )


@pytest.fixture
def killer(tmp_path, request):
    for name in ("app.py", "producer.py"):
        shutil.copy(HARNESS / name, tmp_path)
    with closing(Queue(db_path=tmp_path / "jobs.db")) as queue:
        queue.stats()
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, connection:
        connection.execute("CREATE TABLE books (number INT, job TEXT)")
        connection.executescript(NOTE_TICKS)
    made = Killer(tmp_path, request.param, random.Random(SEED))
    yield made
    made.end()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "killer",
    [
        SHORT,
        pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
    ids=lambda plan: f"{plan.kills} kills",
    indirect=True,
)
def test_whatever_is_killed_each_job_is_there_and_recorded_once(killer, eventually):
    killer.run()
    with closing(Queue(db_path=killer.folder / "jobs.db")) as queue:
        eventually(lambda: not _busy(queue), within=killer.plan.drain_seconds)
        # One that has just been started would die of the signal that asks it to stop.
        pids = {worker.pid for worker in killer.workers}
        eventually(lambda: pids <= {node.pid for node in queue.nodes()}, within=START_SECONDS)
    codes = killer.stop()
    ledger = Ledger(killer)
    _print_figures(ledger, killer)

    assert codes == [0, 0], (killer.folder / "log").read_text()[-2000:]
    assert not killer.orphans
    assert not ledger.lost()
    assert not list(ledger.torn_batches())
    assert not list(ledger.recorded_twice())
    assert not list(ledger.mistaken_books())
    assert not list(ledger.wrongly_failed())
    assert not list(ledger.wrongly_counted())
    assert not list(ledger.unfinished())
    for schedule in ("tick", "beat"):
        due, made = ledger.ticks(schedule)
        assert made == due
    assert not list(ledger.overlapping())
    # A kill may fall between the note that a body begins and the body's own first line.
    assert not [one for one in ledger.charged_unbegun() if one[2] > UNWRITTEN_SECONDS]
