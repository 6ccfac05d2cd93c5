"""Delayed jobs that become due: a claim makes some ready, of all lanes alike."""

import pytest

from mainspring.model.job import NewJob, Want
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.claims import claim_sql
from mainspring.testing import FrozenClock

TASKS = "first", "second", "third"
EACH = 10
MOST = 6
READY = """
SELECT task, count(*) FROM mainspring_jobs JOIN mainspring_lanes USING (lane)
WHERE state <> 1 GROUP BY task
"""


@pytest.fixture
def due(path, monkeypatch):
    """A store with delayed jobs of three tasks, all of them due."""
    monkeypatch.setattr(claim_sql, "MOST_PROMOTED", MOST)
    clock = FrozenClock()
    store = SqliteStore(path, durability="normal", clock=clock)
    for task in TASKS:
        store.enqueue_many([NewJob(task, "queue", b"[[],{}]", delay=1.0)] * EACH)
    clock.advance(2.0)
    yield store
    store.close()


def test_a_claim_makes_few_of_many_lanes_ready(due):
    node = due.join("node", host="host", pid=1, lease=60)
    answer = due.exchange(node, [], [Want(tasks=TASKS, queues=None, limit=1)])
    assert (len(answer.claims), answer.next_due) == (1, 0.0)
    with due._session.readers.lend() as connection:
        ready = dict(connection.execute(READY).fetchall())
    assert ready == dict.fromkeys(TASKS, MOST // len(TASKS))


def test_claims_come_to_the_end_of_them(due):
    node = due.join("node", host="host", pid=1, lease=60)
    claimed = []
    while claims := due.claim(node, [Want(tasks=TASKS, queues=None, limit=5)]):
        claimed += [claim.key for claim in claims]
    assert sorted(claimed) == list(range(1, len(TASKS) * EACH + 1))
