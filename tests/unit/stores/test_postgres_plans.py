"""Plans that PostgreSQL makes for an empty table: they serve when it has grown."""

from __future__ import annotations

import pytest

from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.postgres import PostgresStore

MANY, BATCH = 4_000, 200
GONE = 250_000
"""Jobs whose pages are there yet: of a table that has so many few rows are expected."""
JOB = NewJob(task="add", queue="default", payload=b"[[],{}]")

LANES = 20

READ_AT_ALL = """
SELECT sum(seq_tup_read) + sum(idx_tup_fetch) FROM pg_stat_user_tables
WHERE schemaname = %s AND relname = %s
"""
ROWS_READ = """
SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = %s AND relname = 'jobs'
"""
CONNECTED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def store(postgres_store):
    return postgres_store


def drain(store, node, kind, batches):
    """Claim so many batches, record their outcomes, and claim nothing with the last."""
    outcomes = []
    for turn in range(batches + 1):
        wants = [Want(("add",), None, BATCH)] if turn < batches else []
        claims = store.exchange(node, outcomes, wants).claims
        outcomes = [Outcome(claim.key, claim.fence, kind, delay=60) for claim in claims]


@pytest.mark.parametrize("kind", [OutcomeKind.COMPLETED, OutcomeKind.RETRY])
def test_a_drain_after_statistics_of_an_empty_table_reads_its_own_jobs_only(
    store, connection, postgres_url, until, kind
):
    schema = postgres_url.rpartition("schema=")[2]
    others = connection.execute(CONNECTED).fetchone()
    node = store.join("node", host="here", pid=1, lease=600)
    # The table is drained and has pages: then no rows are expected, however many pages it gets.
    store.enqueue_many([JOB] * BATCH)
    drain(store, node, OutcomeKind.COMPLETED, batches=1)
    connection.execute(f"ANALYZE {schema}.jobs")
    store.enqueue_many([JOB])
    drain(store, node, kind, batches=1)  # plans are made

    store.enqueue_many([JOB] * MANY)
    drain(store, node, kind, batches=4)
    store.close()
    until(lambda: connection.execute(CONNECTED).fetchone() <= others)
    (read,) = connection.execute(ROWS_READ, (schema,)).fetchone()
    assert read < 4 * MANY


@pytest.mark.parametrize("after", ["", "ANALYZE", "VACUUM"])
def test_a_worker_that_connects_after_many_jobs_have_gone_reads_its_own_only(
    connection, postgres_url, until, let_go, after
):
    # What is not on the disk yet is no dead row to the server, and read again and again.
    store = PostgresStore(postgres_url, durability="full")
    schema = postgres_url.rpartition("schema=")[2]
    others = connection.execute(CONNECTED).fetchone()
    node = store.join("node", host="here", pid=1, lease=600)
    store.enqueue_many([JOB])
    let_go(GONE)
    if after:
        connection.execute(f"{after} {schema}.jobs")
    store.enqueue_many([JOB] * MANY)
    store.close()
    until(lambda: connection.execute(CONNECTED).fetchone() <= others)

    drain(store, node, OutcomeKind.COMPLETED, batches=8)
    store.close()
    until(lambda: connection.execute(CONNECTED).fetchone() <= others)
    (read,) = connection.execute(ROWS_READ, (schema,)).fetchone()
    # What has gone was read as it went, and by the first look.
    assert read < 2 * GONE + 4 * MANY


@pytest.fixture
def rows_read(store, connection, postgres_url, until):
    """Close the store, and return how many rows of a table were read by it."""
    schema = postgres_url.rpartition("schema=")[2]
    others = connection.execute(CONNECTED).fetchone()

    def read(table):
        store.close()
        until(lambda: connection.execute(CONNECTED).fetchone() <= others)
        return connection.execute(READ_AT_ALL, (schema, table)).fetchone()[0]

    return read


def test_a_look_at_the_lanes_reads_each_job_once_at_most(store, rows_read):
    jobs = [
        NewJob(task=f"task{n % LANES}", queue="default", payload=b"[[],{}]", delay=n % 2)
        for n in range(MANY)
    ]
    assert store.lanes() == []  # the plan is made
    store.enqueue_many(jobs)
    assert sum(lane.pending for lane in store.lanes()) == MANY
    assert rows_read("jobs") <= MANY


def test_a_look_for_old_entries_reads_none_that_stay(store, connection, postgres_url, rows_read):
    schema = postgres_url.rpartition("schema=")[2]
    assert store.drop_entries("kind", older_than=60, limit=5) == 0  # the plan is made
    connection.execute(
        f"INSERT INTO {schema}.chronicle (kind, at, text) SELECT 'kind',"
        f" extract(epoch FROM now())::bigint * 1000000, '{{}}' FROM generate_series(1, {MANY})"
    )
    connection.execute(f"ANALYZE {schema}.chronicle")
    store.add_entry("kind", b"{}", ago=100)
    assert store.drop_entries("kind", older_than=60, limit=5) == 1
    assert rows_read("chronicle") < 100
