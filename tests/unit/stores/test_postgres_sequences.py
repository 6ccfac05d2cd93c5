"""Rows without the places of their sequences, as logical replication leaves them."""

from contextlib import contextmanager

import psycopg
import pytest

from mainspring.model.view import JobFilter
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.postgres.schema.sequences import HIGHEST_KEY
from mainspring.testing.contracts.cases import join, new_job, want

SEQUENCES = ("job_keys", "lock_fences", "lanes_lane_seq", "nodes_node_seq", "chronicle_key_seq")
BULK = 200


@pytest.fixture
def schema(postgres_url):
    return postgres_url.rpartition("schema=")[2]


@contextmanager
def opened(url):
    store = PostgresStore(url, durability="normal")
    yield store
    store.close()


def set_back(connection, schema):
    for sequence in SEQUENCES:
        connection.execute(f"SELECT setval('{schema}.{sequence}', 1, false)")


def ids_in(store):
    return sorted(job.id for job in store.jobs(JobFilter(), limit=10 * BULK))


def unlike(task):
    return new_job(task=task, unique=task)


@pytest.mark.parametrize(
    "jobs",
    [[new_job()], [new_job()] * BULK, [unlike("one")], [unlike(f"task {n}") for n in range(5)]],
    ids=["one", "many", "keyed", "several keyed"],
)
def test_jobs_of_who_was_connected_meanwhile_are_all_kept(postgres_url, connection, schema, jobs):
    with opened(postgres_url) as store:
        store.enqueue_many([new_job() for _ in range(BULK)])
        before = ids_in(store)
        set_back(connection, schema)
        store.session.forget_keys()
        ids = store.enqueue_many(jobs)
        assert ids_in(store) == sorted(before + ids)


def test_a_job_in_the_transaction_of_its_caller_is_kept(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        known = store.enqueue_many([new_job()])
        set_back(connection, schema)
        store.session.forget_keys()
        with psycopg.connect(postgres_url.partition("?")[0] + query_of(postgres_url)) as mine:
            ids = store.enqueue_in(mine, [new_job()])
        assert ids_in(store) == sorted(known + ids)


def query_of(url):
    """Return the parameters of a URL that are libpq's."""
    ours = [one for one in url.partition("?")[2].split("&") if not one.startswith("schema=")]
    return "?" + "&".join(ours)


def test_who_connects_finds_no_number_given_twice(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        first = join(store)
        store.enqueue_many([new_job(task="known")])
        store.add_entry("statistics", b"{}")
        held = store.acquire(first, "meter")
    set_back(connection, schema)
    with opened(postgres_url) as store:
        assert join(store, name="another") > first
        store.enqueue_many([new_job(task="new"), new_job(task="known")])
        store.add_entry("statistics", b"{}")
        assert store.acquire(first, "another meter") > held
        assert len(ids_in(store)) == 3


def test_a_forged_key_uses_up_no_numbers(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        store.enqueue_many([new_job()])
    connection.execute(f"UPDATE {schema}.jobs SET key = {2**63 - 1}")
    with opened(postgres_url) as store:
        (job_id,) = store.enqueue_many([new_job()])
        assert job_id in ids_in(store)
    (place,) = connection.execute(f"SELECT last_value FROM {schema}.job_keys").fetchone()
    assert place < HIGHEST_KEY


def test_a_job_that_got_the_key_of_an_ended_one_is_claimed_and_ends(
    postgres_url, connection, schema
):
    with opened(postgres_url) as store:
        node = join(store)
        store.enqueue_many([new_job()])
        connection.execute(f"UPDATE {schema}.jobs SET key = 1000")
        set_back(connection, schema)
        assert store.exchange(node, [], [want()]).claims
