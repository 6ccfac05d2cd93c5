"""kill -9 inside a store's transactions: what was acknowledged is there, what was not is not."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import pytest

from mainspring.stores.sqlite import SqliteStore
from mainspring.testing.contracts.cases import end, enqueue, new_job

ENQUEUER = """
import sys
from mainspring.model.job import NewJob
from mainspring.stores.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
options = eval(sys.argv[2])
for number in range(100):
    batch = [NewJob("task", "queue", b"[[],{}]", **options(number, place)) for place in range(3)]
    for job_id in store.enqueue_many(batch[: int(sys.argv[3])]):
        print(job_id)
    sys.stdout.flush()
"""
PURGER = """
import sys
from mainspring.stores.sqlite import SqliteStore

while SqliteStore(sys.argv[1]).purge(completed_after=0, failed_after=0, limit=10):
    print("purged", flush=True)
"""


def killed_in(point, program, *arguments):
    """Run a program until it is killed at the point; return the lines it had printed."""
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"MAINSPRING_FAULT": point, "MAINSPRING_TESTING": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    return child.stdout.split()


def assert_sound(path):
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        "lambda number, place: {}",
        "lambda number, place: {'unique': f'{number} {place}', 'idempotency_key': f'{number}'}",
    ],
)
def test_a_kill_while_it_enqueues_keeps_what_was_acknowledged_and_no_half_batch(
    tmp_path, options, batch
):
    path = tmp_path / "jobs.db"
    SqliteStore(path).stats()
    told = killed_in("during_enqueue:7", ENQUEUER, str(path), options, str(batch))
    assert len(told) == 6 * batch
    store = SqliteStore(path)
    assert store.stats()["queue"]["pending"] == len(set(told))
    assert None not in [store.get(job_id) for job_id in told]
    # Neither the lock nor a key of the batch that was not kept is left behind.
    assert enqueue(store, unique="6 0", on_conflict="raise") not in told
    store.close()
    assert_sound(path)


def test_a_kill_while_it_purges_drops_whole_batches_or_none(tmp_path):
    path = tmp_path / "jobs.db"
    store = SqliteStore(path, durability="normal")
    job_ids = [enqueue(store) for _ in range(40)]
    for job_id in job_ids[:35]:
        end(store, job_id)
    told = killed_in("during_purge:2", PURGER, str(path))
    assert told == ["purged"]
    assert (store.stats()["queue"]["completed"], store.stats()["queue"]["pending"]) == (25, 5)
    assert sum(len(store.history(job_id)) for job_id in job_ids) == 25
    assert store.purge(completed_after=0, failed_after=0, limit=100) == 25
    assert store.enqueue_many([new_job()])
    store.close()
    assert_sound(path)
