"""Claims on PostgreSQL beside others that are under way: they take the next jobs."""

from __future__ import annotations

import pytest

from mainspring.model.job import NewJob, Want
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.postgres.claims import AGAIN_SECONDS

HOLD = "SELECT FROM {schema}.jobs WHERE key IN ({keys}) FOR UPDATE"


@pytest.fixture
def store(postgres_url):
    store = PostgresStore(postgres_url, durability="normal")
    yield store
    store.close()


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
