"""Statements whose cost must not go by all that a file holds."""

import pytest

from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want

MANY = 20_000
STEPS = 2_000
"""Of SQLite's virtual machine, far fewer than one for each of the many rows."""

WANT = Want(tasks=("task",), queues=None, limit=10)

NUMBERS = f"""
  WITH RECURSIVE many(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < {MANY})
"""
ROWS = (
    """
    INSERT INTO mainspring_attempts {many}
    SELECT 1000 + i, 1, 1, 0, 0, 'retry', NULL FROM many
    """,
    """
    INSERT INTO mainspring_finished (
      key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
      ended_at, payload
    ) {many}
    SELECT 1000 + i, i, 1, 3, 0, 0, 0, 1, 0, 1, 1, 0, '[]' FROM many
    """,
    """
    INSERT INTO mainspring_chronicle (key, kind, at, text) {many}
    SELECT i, 'kind', CAST(strftime('%s') AS INTEGER) * 1000000 - 100000000 + i, '{}' FROM many
    """,
)


@pytest.fixture
def crowded(store):
    """A store with many finished jobs, attempts and entries, and a node that has one claim."""
    node = store.join("node", host="host", pid=1, lease=60)
    store.enqueue_many([NewJob(task="task", queue="queue", payload=b"[[],{}]")])
    (claim,) = store.claim(node, [WANT])
    with store._session.writer as connection:
        for statement in ROWS:
            connection.execute(statement.replace("{many}", NUMBERS))
    store.stats()
    return store, node, claim


def steps_of(store, call):
    """Return the hundreds of steps of SQLite's in a call, as a number of steps."""
    steps = []
    connections = [store._session.writer._connection, *store._session.readers._idle]
    for connection in connections:
        connection.set_progress_handler(lambda: steps.append(1) and None, 100)
    answer = call()
    for connection in connections:
        connection.set_progress_handler(None, 0)
    return answer, len(steps) * 100


def test_an_outcome_that_comes_twice_reads_few_rows(crowded):
    store, node, claim = crowded
    done = Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=b"1")
    assert store.finish_many(node, [done]) == [True]
    answer, steps = steps_of(store, lambda: store.finish_many(node, [done]))
    assert answer == [True]
    assert steps < STEPS


def test_a_look_for_old_entries_reads_few_rows(crowded):
    store, _, _ = crowded
    answer, steps = steps_of(store, lambda: store.drop_entries("kind", older_than=3600, limit=10))
    assert (answer, steps < STEPS) == (0, True)


def test_a_late_page_of_a_series_reads_few_rows(crowded):
    store, _, _ = crowded
    page, steps = steps_of(
        store, lambda: store.entries("kind", newer_than=3600, before=100, limit=3)
    )
    assert [entry.key for entry in page.entries] == [99, 98, 97]
    assert steps < STEPS
