"""Rows without the places of their sequences, as logical replication leaves them."""

from contextlib import contextmanager

import psycopg
import pytest

from mainspring.errors import StoreUnusable
from mainspring.model.view import JobFilter
from mainspring.stores.postgres import PostgresStore, enqueue
from mainspring.stores.postgres.schema.sequences import HIGHEST_KEY
from mainspring.testing.contracts.cases import join, new_job, outcome, want

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


def test_who_was_connected_meanwhile_joins_and_adds_entries(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        first = join(store)
        store.add_entry("statistics", b"{}")
        set_back(connection, schema)
        assert join(store, name="another") > first
        store.add_entry("statistics", b"{}")
        assert len(store.entries("statistics", newer_than=3600.0, limit=9).entries) == 2


def use_up(store, count):
    """Enqueue jobs under the keys that a store has drawn ahead."""
    for _ in range(count):
        store.enqueue_many([new_job()])


@pytest.fixture
def overtaken(postgres_url, connection, schema, monkeypatch):
    """A store whose keys are others' once more after the sequence was mended."""
    with opened(postgres_url) as store, opened(postgres_url) as other:
        monkeypatch.setattr("mainspring.stores.postgres.session.KEYS_SECONDS", 60.0)
        store.enqueue_many([new_job()] * BULK)
        use_up(other, 1)
        set_back(connection, schema)
        store.session.forget_keys()
        repair = store.session.repair

        def repair_and_be_overtaken(statements):
            repair(statements)
            use_up(other, 10)

        monkeypatch.setattr(store.session, "repair", repair_and_be_overtaken)
        yield store


@pytest.mark.parametrize("jobs", [[new_job()], [new_job()] * 5, [unlike("one")]])
def test_keys_that_others_had_drawn_before_are_passed_over(overtaken, jobs):
    before = ids_in(overtaken)
    ids = overtaken.enqueue_many(jobs)
    assert set(ids) <= set(ids_in(overtaken)) - set(before)


def test_keys_that_others_had_drawn_before_are_passed_over_in_a_transaction(
    overtaken, postgres_url
):
    with psycopg.connect(postgres_url.partition("?")[0] + query_of(postgres_url)) as mine:
        ids = overtaken.enqueue_in(mine, [new_job()])
    assert set(ids) <= set(ids_in(overtaken))


END_SESSIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND application_name = 'mainspring' AND datname = current_database()
"""


@pytest.mark.parametrize("jobs", [[new_job()] * 3, [unlike("one")]], ids=["plain", "keyed"])
@pytest.mark.parametrize("ended", [False, True], ids=["live", "ended"])
def test_jobs_whose_keys_others_got_while_the_answer_was_lost_are_kept(
    postgres_url, connection, schema, monkeypatch, jobs, ended
):
    """As it is when a server takes over that has not heard of them."""
    told = []

    def fail_over(name):
        if name == "during_enqueue" and not told:
            told.append(name)
            connection.execute(END_SESSIONS)
            connection.execute(f"DELETE FROM {schema}.jobs")
            set_back(connection, schema)
            with opened(postgres_url) as other:
                other.session.forget_keys()
                ids = other.enqueue_many([new_job()] * BULK)
                if ended:
                    node = join(other)
                    while claims := other.exchange(node, [], [want(limit=BULK)]).claims:
                        other.finish_many(node, [outcome(claim) for claim in claims])
            told.extend(ids)

    monkeypatch.setattr("mainspring.stores.postgres.session.fault", fail_over)
    with opened(postgres_url) as store:
        ids = store.enqueue_many(jobs)
        assert len(told) == 1 + BULK
        assert sorted(told[1:] + ids) == ids_in(store)


def test_a_commit_that_comes_through_after_its_connection_was_lost_makes_no_second_job(
    postgres_url, monkeypatch
):
    with opened(postgres_url) as store:
        kept = iter([False])  # not yet, at the second try's first look
        was_kept = enqueue.was_kept
        monkeypatch.setattr(enqueue, "was_kept", lambda *of: next(kept, True) and was_kept(*of))
        transact, tries = store.session._transact, []

        def lose_the_first_answer(statements, work):
            answer = transact(statements, work)
            tries.append(answer)
            if len(tries) == 1:
                statements.driver.close()
                raise psycopg.OperationalError("gone")
            return answer

        monkeypatch.setattr(store.session, "_transact", lose_the_first_answer)
        ids = store.enqueue_many([new_job(expires=60.0)])
        assert ids == ids_in(store)


@contextmanager
def worker_role(connection, schema):
    """Give a role that has what `mainspring doctor` asks for, and nothing more."""
    role = f"{schema}_worker"
    connection.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}")
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
    connection.execute(f"GRANT USAGE ON SEQUENCE {schema}.job_keys TO {role}")
    connection.execute(f"GRANT USAGE ON SEQUENCE {schema}.lock_fences TO {role}")
    yield role
    connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def try_all(store):
    """Return what is said where new jobs, tasks and nodes get the numbers of others."""
    said = []
    for call in (lambda: join(store, name="x"), lambda: store.enqueue_many([new_job(task="x")])):
        try:
            call()
        except StoreUnusable as error:
            said.append(str(error))
    return said


def test_a_role_that_may_not_set_sequences_is_told_who_may(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        for number in range(9):
            join(store, name=f"node {number}")
            store.enqueue_many([new_job(task=f"task {number}")])
    with worker_role(connection, schema) as role:
        url = postgres_url.replace("mainspring@", f"{role}@")
        with opened(url) as store:
            assert try_all(store) == []
            for sequence in ("nodes_node_seq", "lanes_lane_seq"):  # which it can't even read
                connection.execute(f"SELECT setval('{schema}.{sequence}', 1, false)")
            with pytest.raises(
                StoreUnusable, match="as the owner of the schema run mainspring doc"
            ):
                join(store, name="y")
            with pytest.raises(
                StoreUnusable, match="as the owner of the schema run mainspring doc"
            ):
                store.enqueue_many([new_job(task="y")])
        set_back(connection, schema)
        with opened(url) as store, pytest.raises(StoreUnusable, match="GRANT UPDATE ON SEQUENCE"):
            store.enqueue_many([new_job()])
        with opened(postgres_url) as store:
            assert "problem" not in {one.level for one in store.examine() if one.check == "server"}
        with opened(url) as store:
            assert try_all(store) == []
