"""Jobs whose payloads or results together are longer than SQLite lets one text be."""

import sqlite3

from mainspring.model.job import JobState, NewJob, Outcome, OutcomeKind, Want

LONG = b'["' + b"x" * 20_000 + b'"]'
MOST_BYTES = 70_000
"""As 1,000,000,000 are for payloads of some megabytes, which `limit_bytes=` allows."""

WANT = Want(tasks=("task",), queues=None, limit=10)


def limit_texts(*connections):
    for connection in connections:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)


def enqueued(store, number, **options):
    return [
        store.enqueue_many([NewJob(task="task", queue="queue", payload=LONG, **options)])[0]
        for _ in range(number)
    ]


def test_jobs_whose_payloads_are_too_long_together_are_claimed(store):
    node = store.join("node", host="host", pid=1, lease=60)
    job_ids = enqueued(store, 6)
    store.stats()
    limit_texts(store._session.writer._connection, *store._session.readers._idle)
    claims = store.exchange(node, [], [WANT]).claims
    assert [claim.id for claim in claims] == job_ids
    assert {claim.payload for claim in claims} == {LONG}


def test_those_among_delayed_jobs_are_claimed(store):
    node = store.join("node", host="host", pid=1, lease=60)
    job_ids = enqueued(store, 6)
    enqueued(store, 1, delay=3600)
    store.stats()
    limit_texts(store._session.writer._connection, *store._session.readers._idle)
    assert [claim.id for claim in store.claim(node, [WANT])] == job_ids


def test_results_that_are_too_long_together_are_read(store):
    node = store.join("node", host="host", pid=1, lease=60)
    job_ids = enqueued(store, 6)
    claims = store.claim(node, [WANT])
    store.finish_many(
        node,
        [Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=LONG) for claim in claims],
    )
    store.stats()
    limit_texts(*store._session.readers._idle)
    ended = store.ended(job_ids)
    assert {(one.state, one.result) for one in ended.values()} == {(JobState.COMPLETED, LONG)}
    assert ended.keys() == set(job_ids)
