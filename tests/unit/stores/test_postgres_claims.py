"""Claims on PostgreSQL: beside others that are under way, and long after the first ones."""

from __future__ import annotations

import pytest

from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.postgres import resume_points
from mainspring.stores.postgres.claims import AGAIN_SECONDS

BATCH = resume_points.MANY_CLAIMS
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
HOLD = "SELECT FROM {schema}.jobs WHERE key IN ({keys}) FOR UPDATE"


@pytest.fixture
def store(postgres_store):
    return postgres_store


@pytest.fixture
def node(store):
    return store.join("node", host="here", pid=1, lease=600)


@pytest.fixture
def hold(connection, postgres_url):
    """Lock jobs as a claim does that has not committed yet."""
    schema = postgres_url.rpartition("schema=")[2]

    def hold(job_ids):
        keys = ", ".join(job_id.partition("-")[0] for job_id in job_ids)
        connection.execute("BEGIN")
        connection.execute(HOLD.format(schema=schema, keys=keys))

    yield hold
    connection.execute("ROLLBACK")


def enqueue(store, task, count):
    return store.enqueue_many([NewJob(task=task, queue="default", payload=b"[[],{}]")] * count)


def ids(exchanged):
    return [one.id for one in exchanged.claims]


def test_what_another_claim_has_locked_is_passed_over(store, node, hold):
    job_ids = enqueue(store, "task", 10)
    hold(job_ids[:4])
    assert ids(store.exchange(node, [], [Want(("task",), None, 4)])) == job_ids[4:8]


def test_of_several_lanes_each_gives_its_share_of_what_is_not_locked(store, node, hold):
    first = enqueue(store, "first", 6)
    second = enqueue(store, "second", 6)
    hold(first[:2])
    # By a look at all that waits the first lane is to give four: it does, of those that are free.
    exchanged = store.exchange(node, [], [Want(("first", "second"), None, 4)])
    assert ids(exchanged) == first[2:6]
    exchanged = store.exchange(node, [], [Want(("first", "second"), None, 4)])
    assert ids(exchanged) == second[:2]
    assert exchanged.next_due == AGAIN_SECONDS


def test_a_claim_that_others_leave_short_is_told_to_look_again_soon(store, node, hold):
    job_ids = enqueue(store, "task", 3)
    hold(job_ids[:2])
    exchanged = store.exchange(node, [], [Want(("task",), None, 5)])
    assert (ids(exchanged), exchanged.next_due) == (job_ids[2:], AGAIN_SECONDS)


def test_a_claim_that_got_all_there_was_need_not_look_again(store, node):
    job_ids = enqueue(store, "task", 3)
    exchanged = store.exchange(node, [], [Want(("task",), None, 5)])
    assert (ids(exchanged), exchanged.next_due) == (job_ids, None)


class Clock:
    """Monotonic time that stands still until it is moved."""

    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(resume_points, "monotonic", clock)
    return clock


def claim(store, node, limit=BATCH):
    return store.claim(node, [Want(("add",), None, limit)])


def test_a_drain_does_not_read_again_what_was_claimed_before(
    store, node, clock, connection, postgres_url, until, let_go
):
    schema = postgres_url.rpartition("schema=")[2]
    others = connection.execute(CONNECTED).fetchone()[0] - 1
    store.enqueue_many([JOB])
    assert len(claim(store, node)) == 1
    let_go(GONE)
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
    clock.now += resume_points.FULL_SCAN_SECONDS / 2
    (urgent,) = store.enqueue_many([URGENT])
    assert urgent not in {one.id for one in claim(store, node)}
    clock.now += resume_points.FULL_SCAN_SECONDS
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
