"""Where a claim begins to read on PostgreSQL: not among what was claimed long ago."""

from __future__ import annotations

import pytest

from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.postgres import PostgresStore, fronts

BATCH = fronts.MANY
GONE = 100_000
ENTRIES_A_PAGE = 150
"""As many as the index has on one, more or less."""

JOB = NewJob(task="add", queue="default", payload=b"[[],{}]")
URGENT = NewJob(task="add", queue="default", payload=b"[[],{}]", priority=-1)

PAGES_READ = """
SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes
WHERE schemaname = %s AND indexrelname = 'ready'
"""
CONNECTED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Clock:
    """Monotonic time that stands still until it is moved."""

    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(fronts, "monotonic", clock)
    return clock


@pytest.fixture
def store(postgres_url):
    store = PostgresStore(postgres_url, durability="normal")
    yield store
    store.close()


@pytest.fixture
def node(store):
    return store.join("node", host="here", pid=1, lease=600)


def claim(store, node, limit=BATCH):
    return store.claim(node, [Want(("add",), None, limit)])


def test_a_drain_does_not_read_again_what_was_claimed_before(
    store, node, clock, connection, postgres_url, until
):
    schema = postgres_url.rpartition("schema=")[2]
    others = connection.execute(CONNECTED).fetchone()[0] - 1
    store.enqueue_many([JOB])
    assert len(claim(store, node)) == 1
    connection.execute(
        f"INSERT INTO {schema}.jobs"
        " (key, nonce, lane, state, priority, run_at, created_at, payload)"
        " SELECT 1000000 + number, 0, lane, 0, 0, 0, 0, '[[],{}]'"
        f" FROM {schema}.lanes, generate_series(1, {GONE}) AS number"
    )
    connection.execute(f"DELETE FROM {schema}.jobs WHERE key > 1000000")
    connection.execute("SELECT pg_stat_force_next_flush()")
    store.enqueue_many([JOB] * 20 * BATCH)
    (before,) = connection.execute(PAGES_READ, (schema,)).fetchone()
    outcomes = []
    for _ in range(20):
        claims = store.exchange(node, outcomes, [Want(("add",), None, BATCH)]).claims
        assert len(claims) == BATCH
        outcomes = [Outcome(one.key, one.fence, OutcomeKind.COMPLETED) for one in claims]
    store.close()
    until(lambda: connection.execute(CONNECTED).fetchone()[0] <= others)
    (after,) = connection.execute(PAGES_READ, (schema,)).fetchone()
    # By the two looks from the beginning, and those at the jobs themselves.
    assert after - before < 10 * GONE / ENTRIES_A_PAGE


def test_a_more_urgent_job_waits_as_long_as_the_engine_claims_ahead(store, node, clock):
    store.enqueue_many([JOB] * 5 * BATCH)
    claim(store, node)
    clock.now += fronts.WHOLE_SECONDS / 2
    (urgent,) = store.enqueue_many([URGENT])
    assert urgent not in {one.id for one in claim(store, node)}
    clock.now += fronts.WHOLE_SECONDS
    assert claim(store, node)[0].id == urgent


def test_who_claims_few_at_a_time_gets_the_most_urgent_ones(store, node, clock):
    store.enqueue_many([JOB] * 5 * BATCH)
    claim(store, node)
    claim(store, node, limit=10)
    (urgent,) = store.enqueue_many([URGENT])
    assert claim(store, node, limit=10)[0].id == urgent


def test_a_claim_that_comes_away_short_is_told_to_look_again(store, node, clock):
    store.enqueue_many([JOB] * (BATCH + 1))
    claim(store, node)
    (urgent,) = store.enqueue_many([URGENT])
    exchanged = store.exchange(node, [], [Want(("add",), None, BATCH)])
    assert (len(exchanged.claims), exchanged.next_due) == (1, 0.0)
    assert [one.id for one in claim(store, node)] == [urgent]


def test_jobs_that_become_due_are_claimed_in_their_place(store, node, clock):
    store.enqueue_many([JOB] * 5 * BATCH)
    claim(store, node)
    delayed = NewJob(task="add", queue="default", payload=b"[[],{}]", priority=-1, delay=1e-6)
    (due,) = store.enqueue_many([delayed])
    assert claim(store, node)[0].id == due
