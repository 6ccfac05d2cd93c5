"""What PostgresStore does with servers, roles and schemas as they are."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from mainspring import Queue
from mainspring.engine.node.board import (
    FileBoard,
    board_of,
    find_dead,
    node_name,
    remove_orphans,
)
from mainspring.errors import InvalidOption, MissingExtra, StoreBusy, StoreUnusable
from mainspring.model.job import NewJob
from mainspring.model.view import JobFilter
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.postgres.address import address_of
from mainspring.stores.postgres.connections import connections
from mainspring.stores.postgres.schema import migration
from mainspring.testing.contracts.cases import join, new_job, outcome, want
from servers.postgres import schema_in


@pytest.fixture
def schema(postgres_url):
    return postgres_url.rpartition("schema=")[2]


@contextmanager
def opened(url, **options):
    store = PostgresStore(url, durability="normal", **options)
    yield store
    store.close()


@contextmanager
def role_in(connection, name):
    connection.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    connection.execute(f"DROP OWNED BY {name}")
    connection.execute(f"DROP ROLE {name}")


def as_role(url, role):
    return url.replace("mainspring@", f"{role}@")


def test_a_schema_of_a_newer_version_is_refused(postgres_url, connection, schema):
    with opened(postgres_url) as store:
        store.stats()
    connection.execute(f"UPDATE {schema}.schema_version SET version = 99")
    with opened(postgres_url) as store, pytest.raises(StoreUnusable, match="upgrade mainspring"):
        store.stats()


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
def test_a_single_job_keeps_every_character_of_its_arguments(postgres_url, encoding):
    payload = """[["it's 100 % \\"quoted\\" \\\\ é $1 {now}"],{}]""".encode()
    with opened(f"{postgres_url}&client_encoding={encoding}") as store:
        store.enqueue_many([NewJob("task", "queue", payload, priority=-3)])
        (claim,) = store.claim(join(store), [want()])
        assert (claim.payload, claim.task) == (payload, "task")


def test_a_schema_of_version_1_keeps_its_rows(postgres_url, connection, schema):
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"SET search_path TO {schema}")
    connection.execute((migration.FOLDER / "0001_whole_queue.sql").read_bytes())
    connection.execute("UPDATE schema_version SET version = 1")
    connection.execute("INSERT INTO lanes (queue, task) VALUES ('queue', 'task')")
    connection.execute(
        "INSERT INTO jobs (key, nonce, lane, state, priority, run_at, created_at, payload) "
        "VALUES (nextval('job_keys'), 10, 1, 0, 0, 1, 1, '[[],{}]')"
    )
    with opened(postgres_url) as store:
        (claim,) = store.claim(join(store), [want()])
        assert (claim.id, claim.options) == ("1-0000000a", None)
        job_id, *_ = store.enqueue_many([new_job(options=b'{"retries":0}')])
        assert store.get(job_id).options.retries == 0
        assert store.acquire(join(store), "a lock") == 1


def test_a_schema_of_version_2_keeps_its_jobs_and_refuses_odd_values_from_then_on(
    postgres_url, connection, schema, monkeypatch
):
    with monkeypatch.context() as older, opened(postgres_url) as store:
        older.setattr(migration, "VERSION", 2)
        older.setattr(connections, "raise_sequences", lambda *_: None)  # some are of later ones
        ids = store.enqueue_many([new_job()] * 3)
        connection.execute(f"UPDATE {schema}.jobs SET attempts = -7 WHERE key = 1")
    with opened(postgres_url) as store:
        assert {job.id for job in store.jobs(JobFilter())} == set(ids)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(f"UPDATE {schema}.jobs SET fence = {2**63 - 1}")
        store.cancel(ids[:1])
        assert {claim.id for claim in store.claim(join(store), [want()])} >= set(ids[1:])


def test_a_live_job_that_somebody_has_ended_beside_it_ends_all_the_same(
    postgres_url, connection, schema
):
    with opened(postgres_url) as store:
        first, second = store.enqueue_many([new_job()] * 2)
        connection.execute(
            f"INSERT INTO {schema}.finished (key, nonce, lane, state, priority, run_at, created_at,"
            " attempts, crashes, fence, ended_at, payload)"
            f" SELECT key, nonce, lane, 3, 0, 0, 0, 0, 0, 0, 0, '' FROM {schema}.jobs"
        )
        node = join(store)
        (claim, _) = store.claim(node, [want()])
        assert store.finish_many(node, [outcome(claim)]) == [True]
        assert store.cancel([second]) == [True]
        assert [store.get(one).state.value for one in (first, second)] == ["completed", "running"]


def test_connections_are_lent_in_the_order_in_which_they_were_asked_for(postgres_url):
    with opened(f"{postgres_url}&max_connections=1", busy_timeout=20.0) as store:
        connections = store.session.connections
        order, threads = [], []

        def borrow(number):
            with connections.lend():
                order.append(number)

        with connections.lend():
            for number in range(5):
                threads.append(threading.Thread(target=borrow, args=(number,)))
                threads[-1].start()
                while len(connections._loans) < number + 2:
                    time.sleep(0.001)
            assert order == []
        for thread in threads:
            thread.join()
        assert order == [0, 1, 2, 3, 4]
        assert not connections._loans


def test_who_waits_for_a_connection_too_long_is_told_so_and_waits_no_more(postgres_url):
    with opened(f"{postgres_url}&max_connections=1", busy_timeout=0.1) as store:
        with store.session.connections.lend(), pytest.raises(StoreBusy, match="all 1 connections"):
            store.stats()
        assert store.stats() == {}


@pytest.mark.parametrize("parameters", ["", "&listen=false"], ids=["direct", "pooled"])
def test_who_waits_too_long_for_a_row_of_an_open_transaction_is_told_so(postgres_url, parameters):
    with opened(postgres_url + parameters, busy_timeout=0.2) as store:
        store.stats()
        with psycopg.connect(postgres_url.partition("schema=")[0].rstrip("?&")) as other:
            store.enqueue_in(other, [new_job(unique="k")])
            with pytest.raises(StoreBusy, match="0.2 s"):
                store.enqueue_many([new_job(unique="k")])
            other.rollback()


def test_an_old_server_is_refused(postgres_url, monkeypatch):
    monkeypatch.setattr(migration, "OLDEST_SERVER", 10**9)
    with opened(postgres_url) as store, pytest.raises(StoreUnusable, match="upgrade the server"):
        store.stats()


def test_a_role_that_may_not_make_a_schema_is_told_what_to_grant(postgres_url, connection):
    grant = 'GRANT CREATE ON DATABASE "postgres" TO "poor"'
    with (
        role_in(connection, "poor") as role,
        opened(as_role(postgres_url, role)) as store,
        pytest.raises(StoreUnusable, match=grant),
    ):
        store.stats()


def test_a_role_that_may_not_read_the_tables_is_told_what_to_grant(
    postgres_url, connection, schema
):
    with opened(postgres_url) as store:
        store.stats()
    with role_in(connection, "blind") as role, opened(as_role(postgres_url, role)) as store:
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        with pytest.raises(StoreUnusable, match="GRANT ALL ON ALL TABLES IN SCHEMA"):
            store.stats()


def test_without_auto_migrate_the_error_names_the_command_which_does_it(postgres_url, schema):
    url = f"{postgres_url}&auto_migrate=false"
    named = rf"mainspring migrate --url \S+\?schema={schema}$"
    with opened(url) as store, pytest.raises(StoreUnusable, match=named):
        store.enqueue_many([new_job()])
    command = [sys.executable, "-m", "mainspring", "migrate", "--url", url]
    assert subprocess.run(command, check=True, capture_output=True).stdout
    with opened(url) as store:
        assert len(store.enqueue_many([new_job()])) == 1


def test_two_schemas_of_a_database_know_nothing_of_each_other(postgres_url, connection, schema):
    with opened(postgres_url) as store, opened(f"{postgres_url}_b") as other:
        heard, unheard = store.listen("ready"), other.listen("ready")
        while unheard.wait(0) or heard.wait(0):
            pass
        store.enqueue_many([new_job()])
        assert heard.wait(10) is not None
        assert unheard.wait(0.05) is None
        assert other.claim(join(other), [want()]) == []
        assert len(store.claim(join(store), [want()])) == 1
    connection.execute(f"DROP SCHEMA {schema}_b CASCADE")


@pytest.mark.parametrize(
    "other",
    [
        "schema=other",
        "schema=mine&host=/run/other",
        "schema=mine&port=6543",
        "dbname=x&schema=mine",
    ],
)
def test_stores_that_differ_in_parameters_have_folders_of_locks_of_their_own(other):
    mine = address_of("postgresql://me@/db?schema=mine").folder
    assert address_of("postgresql://me@/db?schema=mine&max_connections=3").folder == mine
    assert address_of(f"postgresql://me@/db?{other}").folder != mine


def test_workers_of_one_schema_do_not_sweep_away_the_boards_of_another(
    postgres_url, postgres_database
):
    with (
        schema_in(postgres_database) as second,
        opened(postgres_url) as store,
        opened(second) as other,
    ):
        board = board_of(store.run_dir, name := node_name("host", 1))
        FileBoard(board, 1).let_go()  # killed
        os.utime(board, (0, 0))
        store.join(name, host="host", pid=1, lease=15.0)
        remove_orphans(other.run_dir, {node.name for node in other.nodes()})
        dead = find_dead(board)
        assert dead is not None
        dead.close()


def test_without_a_listener_nobody_is_notified_and_with_one_everybody_is(
    postgres_url, connection, schema
):
    connection.execute(f'LISTEN "{schema}_ready"')
    with opened(postgres_url) as store:
        store.enqueue_many([new_job()])
        assert list(connection.notifies(timeout=0.1)) == []
        listener = store.listen("ready")
        store.enqueue_many([new_job()])
        assert len(list(connection.notifies(timeout=10, stop_after=1))) == 1
        listener.close()


def test_a_worker_that_gets_all_it_wants_need_not_be_notified(postgres_url, eventually):
    with opened(postgres_url) as store:
        store.enqueue_many([new_job()] * 20)
        listener, node = store.listen("ready"), join(store)
        for _ in range(5):
            assert len(store.claim(node, [want(limit=2)])) == 2
        eventually(lambda: store.session.direct._held == {node})
        assert len(store.claim(node, [want(limit=100)])) == 10
        assert len(store.session.direct._held) == 2
        while listener.wait(0):
            pass
        store.enqueue_many([new_job()])
        assert listener.wait(10) is not None
        listener.close()


def test_without_listening_a_listener_looks_once_a_second(postgres_url):
    with opened(f"{postgres_url}&listen=false") as store:
        listener = store.listen("ready")
        assert listener.wait(0.01) is None
        assert listener.wait(10) is not None
        listener.close()
        assert threading.active_count() >= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(postgres_url):
    with opened(postgres_url) as store:
        store.enqueue_many([new_job()])
        listener = store.listen("ready")
        child = os.fork()
        if child == 0:
            try:
                store.enqueue_many([new_job()])
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        store.enqueue_many([new_job()])
        assert store.stats()["queue"]["pending"] == 3
        listener.close()


def test_no_more_connections_are_lent_than_may_be(postgres_url, connection):
    with opened(f"{postgres_url}&max_connections=2&application_name=few") as store:
        store.stats()
        threads = [threading.Thread(target=store.stats) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'few'"
        assert connection.execute(asked).fetchone()[0] <= 2


def test_a_dropped_store_leaves_no_connection(postgres_url, connection, eventually):
    store = PostgresStore(f"{postgres_url}&application_name=dropped")
    store.stats()
    del store
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dropped'"
    eventually(lambda: connection.execute(asked).fetchone() == (0,))


@pytest.mark.parametrize(
    "parameter", ["schema=a-b", "listen=perhaps", "max_connections=0", "nonsense=1"]
)
def test_a_parameter_that_makes_no_sense_is_refused(parameter):
    with pytest.raises(InvalidOption):
        Queue(f"postgresql://u:secret@h/d?{parameter}")


def test_no_message_shows_the_password():
    address = address_of("postgresql://u:secret@h/d?schema=s")
    assert "secret" not in f"{address!r}{address.unusable('x', 'y')}"


def test_the_missing_extra_is_named_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "mainspring.stores.postgres.store", None)
    with pytest.raises(MissingExtra, match=r"mainspring\[postgres\]"):
        Queue("postgresql://host/database")


def test_long_names_and_keys_are_kept(postgres_url):
    long = "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 500
    with opened(postgres_url) as store:
        jobs = [NewJob(long, long, b"[]", unique=long * 3, idempotency_key=long * 3)]
        first = store.enqueue_many(jobs)
        assert store.enqueue_many(jobs) == first
        (claim,) = store.claim(join(store), [want(long)])
        assert (claim.task, claim.queue) == (long, long)


def test_who_holds_a_lock_has_it_for_the_whole_lease_though_its_connection_is_gone(
    postgres_url, connection, eventually
):
    """It can't know that, and another must not begin before it ends."""
    lease = 60.0
    with opened(postgres_url) as store, opened(postgres_url) as gone:
        holder, other = (
            gone.join(name, host="host", pid=1, lease=lease) for name in ("holder", "other")
        )
        assert gone.acquire(holder, "a lock")
        gone.session.direct.close()

        def leases():
            return {node.key: node.expires_in for node in store.nodes()}

        eventually(lambda: leases()[other] < lease / 2)
        assert leases()[holder] > lease / 2
        assert store.rescue(holder, dead=False, begun=None) is None
        gone.leave(holder)
        gone.leave(other)
