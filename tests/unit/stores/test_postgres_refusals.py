"""Servers, roles and poolers that PostgresStore can't work on: one line that says what to do."""

from __future__ import annotations

import select
import socket
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from mainspring import Queue
from mainspring.errors import StoreUnreachable, StoreUnusable
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.postgres.address import address_of
from mainspring.stores.postgres.connections import connections
from mainspring.stores.postgres.connections.trouble import explain, is_final
from mainspring.testing.contracts.cases import enqueue, new_job
from servers.pooler import Pooler


@pytest.fixture
def schema(postgres_url):
    return postgres_url.rpartition("schema=")[2]


@pytest.fixture
def socket_path(postgres_database):
    folder = postgres_database.partition("host=")[2]
    if not folder.startswith("/"):
        pytest.skip("the pooler stands before a Unix socket")
    return f"{folder}/.s.PGSQL.5432"


@pytest.fixture
def make_pooler(socket_path, schema):
    """Start poolers and return the URL of a store through each; they end with the test."""
    poolers = []

    def make(**options):
        poolers.append(Pooler(socket_path, **options))
        port = poolers[-1].port
        return f"postgresql://mainspring@127.0.0.1:{port}/postgres?schema={schema}"

    yield make
    for pooler in poolers:
        pooler.close()


def refusal(url):
    """Return the one line with which a store refuses to work."""
    with closing(PostgresStore(url, durability="normal")) as store:
        with pytest.raises(StoreUnusable) as refused:
            store.enqueue_many([new_job()])
        assert not isinstance(refused.value, StoreUnreachable)
        found = store.examine()
    text = str(refused.value)
    assert "\n" not in text
    assert [(one.check, one.level) for one in found] == [("server", "problem")]
    return text


@contextmanager
def role(connection, options, **settings):
    """A role that may do what the option says; it is dropped in the end."""
    connection.execute(f"CREATE ROLE visitor LOGIN {options}")
    for name, value in settings.items():
        connection.execute(f"ALTER ROLE visitor SET {name} = {value}")
    try:
        yield "visitor"
    finally:
        connection.execute("DROP OWNED BY visitor")
        connection.execute("DROP ROLE visitor")


def as_role(url, name):
    return url.replace("mainspring@", f"{name}@")


@contextmanager
def asking_for_a_password(connection, name):
    """The server asks that role for its password."""
    path = Path(connection.execute("SHOW hba_file").fetchone()[0])
    text = path.read_text()
    path.write_text(f"local all {name} scram-sha-256\n{text}")
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        path.write_text(text)
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("socket_path")
def test_a_wrong_password_is_said_and_not_shown(postgres_url, connection, eventually):
    with role(connection, "PASSWORD 'right'") as name, asking_for_a_password(connection, name):
        url = as_role(postgres_url, f"{name}:wrong")

        def is_asked():
            try:
                psycopg.connect(as_role(postgres_url, name).partition("&schema")[0]).close()
            except psycopg.OperationalError:
                return True

        eventually(is_asked)
        text = refusal(url)
        assert "password authentication failed" in text
        assert "check user and password in the URL" in text
        assert "wrong" not in text
        assert "no password supplied" in refusal(as_role(postgres_url, name))


def test_a_role_whose_transactions_only_read_is_refused(postgres_url, connection):
    with role(connection, "", default_transaction_read_only="on") as name:
        assert "read-only" in refusal(as_role(postgres_url, name))


def test_a_server_that_becomes_read_only_is_named(postgres_url):
    with closing(PostgresStore(f"{postgres_url}&max_connections=1")) as store:
        enqueue(store)
        with store.session.connections.lend() as lent:
            lent.execute("SET default_transaction_read_only = on")
        with pytest.raises(StoreUnusable, match="read-only transaction; name the primary"):
            enqueue(store)


def test_a_role_that_may_not_use_the_schema_is_told_what_to_grant(postgres_url, connection, schema):
    with closing(PostgresStore(postgres_url)) as store:
        store.stats()
    with role(connection, "") as name:
        assert f'GRANT USAGE ON SCHEMA "{schema}" TO "{name}"' in refusal(
            as_role(postgres_url, name)
        )


def test_a_pooler_in_transaction_mode_is_found_and_the_way_out_named(make_pooler):
    text = refusal(make_pooler())
    assert "pooler in transaction mode" in text
    assert "give listen_url=, the server itself, or listen=false" in text


def test_a_pooler_that_frees_sessions_a_moment_later_is_found_as_well(make_pooler):
    assert "pooler in transaction mode" in refusal(make_pooler(lag=0.005))


def test_a_pooler_in_session_mode_will_do(make_pooler):
    with closing(PostgresStore(make_pooler(sticky=True))) as store:
        enqueue(store)
        assert store.session.direct.hold(7)
        assert store.stats()["queue"]["pending"] == 1


@pytest.mark.parametrize("how", ["listen_url", "listen=false"])
def test_behind_a_pooler_jobs_run_with_a_direct_connection_or_by_a_look_each_second(
    make_pooler, postgres_database, how
):
    direct = postgres_database.replace("?", "%3F").replace("=", "%3D").replace("&", "%26")
    option = f"listen_url={direct}" if how == "listen_url" else how
    queue = Queue(f"{make_pooler()}&{option}", workers=2, grace=5)

    @queue.task(name="double")
    def doubled(number):
        return 2 * number

    with queue.worker():
        assert doubled.delay(1).result(timeout=30) == 2
        jobs = doubled.map([(number,) for number in range(50)])
        assert [job.result(timeout=30) for job in jobs] == [2 * number for number in range(50)]
    listening = {one.check: one.level for one in queue.examine()}["listening"]
    assert listening == ("ok" if how == "listen_url" else "warning")
    queue.close()


def test_a_pooler_that_ends_while_it_is_looked_at_is_tried_again(make_pooler, monkeypatch):
    def ended(_connection, _connect):
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connections, "is_shared", ended)
    url = make_pooler()
    direct = url.replace("?", "%3F").replace("=", "%3D").partition("%3F")[0]
    with closing(PostgresStore(f"{url}&listen_url={direct}")) as store:
        assert not store.session.direct.hold(7)
        monkeypatch.setattr(connections, "is_shared", lambda _connection, _connect: False)
        assert store.session.direct.hold(7)


def test_what_a_pooler_refuses_has_a_remedy(postgres_url):
    address = address_of(postgres_url)
    for text, remedy in (
        ("transaction blocks not allowed in statement pooling mode", "pool_mode to transaction"),
        ("query_wait_timeout", "a larger pool"),
    ):
        with pytest.raises(StoreUnusable, match=remedy):
            explain(psycopg.OperationalError(text), address)
    assert not is_final(psycopg.OperationalError("query_wait_timeout"))


def test_a_listen_url_that_leads_to_the_pooler_is_said_once(make_pooler, caplog, eventually):
    url = make_pooler()
    direct = url.replace("?", "%3F").replace("=", "%3D").partition("%3F")[0]
    with closing(PostgresStore(f"{url}&listen_url={direct}")) as store:
        listener = store.listen("ready")
        enqueue(store)
        eventually(lambda: [text for text in caplog.messages if "nobody listens" in text])
        assert None not in (listener.wait(30), listener.wait(30))  # it looks by itself
        listener.close()
    (text,) = [text for text in caplog.messages if "nobody listens" in text]
    assert "give listen_url=, the server itself" in text


def test_a_producer_of_a_server_that_is_silent_is_told_within_its_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never answers
        port = silent.getsockname()[1]
        url = f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=1&sslmode=disable"
        began = time.monotonic()
        with closing(PostgresStore(url)) as store, pytest.raises(StoreUnreachable, match="check"):
            enqueue(store)
        assert time.monotonic() - began < 20


TROUBLE = """
CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'so it says' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON {schema}.jobs FOR EACH ROW EXECUTE FUNCTION {schema}.fail()
"""


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("53100", "make room on the server's disk"),
        ("57014", "a longer statement_timeout"),
        ("58030", "look at the server's log"),
        ("57P03", "start the server"),
    ],
)
def test_trouble_of_a_server_that_is_there_names_what_to_do_about_it(
    postgres_url, schema, connection, code, remedy
):
    with closing(PostgresStore(postgres_url, durability="normal")) as store:
        store.stats()
        connection.execute(TROUBLE.format(schema=schema, code=code))
        with pytest.raises(StoreUnreachable, match=f"so it says; .*{remedy}"):
            enqueue(store)


def test_a_transaction_that_the_server_ends_for_its_idleness_is_done_again(postgres_url):
    with closing(PostgresStore(postgres_url, durability="normal")) as store:
        store.stats()  # tables are made by one that has the time, on a busy machine, too
    options = "options=-c%20idle_in_transaction_session_timeout%3D500ms"
    tries = []

    def work(connection):
        tries.append(True)
        if len(tries) == 1:
            select.select([connection.driver.fileno()], [], [], 10)  # until the server says so
        return connection.rows("SELECT 1")

    with closing(PostgresStore(f"{postgres_url}&{options}", durability="normal")) as store:
        assert store.session.write(work) == [(1,)]
    assert len(tries) == 2
