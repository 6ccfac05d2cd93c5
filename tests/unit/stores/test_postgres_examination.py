"""The findings of `mainspring doctor` on PostgreSQL are true of real servers and roles."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from mainspring.stores.postgres import PostgresStore, examination
from mainspring.testing.contracts.cases import enqueue, join


@pytest.fixture
def store(postgres_url):
    with closing(PostgresStore(postgres_url, durability="normal")) as store:
        enqueue(store)
        yield store


@pytest.fixture
def visitor(connection, postgres_url):
    """The URL of a role that may look at all tables and change one."""
    schema = postgres_url.rpartition("schema=")[2]
    with closing(PostgresStore(postgres_url)) as store:
        store.stats()
    connection.execute("CREATE ROLE looker LOGIN")
    connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO looker")
    connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO looker")
    connection.execute(f"GRANT ALL ON {schema}.lanes TO looker")
    yield postgres_url.replace("mainspring@", "looker@")
    connection.execute("DROP OWNED BY looker")
    connection.execute("DROP ROLE looker")


def found(store):
    return {one.check: one for one in store.examine()}


def test_each_part_is_looked_at(store, connection):
    findings = found(store)
    version = connection.execute("SHOW server_version").fetchone()[0]
    assert f"PostgreSQL {version}" in findings["server"].says
    expected = "server durability schema privileges connections bloat transactions listening"
    assert list(findings) == expected.split()
    levels = {name: one.level for name, one in findings.items() if name != "durability"}
    assert set(levels.values()) == {"ok"}


def test_missing_privileges_are_named_though_some_are_there(visitor):
    with closing(PostgresStore(visitor)) as store:
        finding = found(store)["privileges"]
    assert finding.level == "problem"
    missing = finding.says.removeprefix("missing on ").split(", ")
    assert {"jobs", "finished", "job_keys", "lock_fences"} <= set(missing)
    assert "lanes" not in missing
    assert not [name for name in missing if name.endswith("_seq")]
    assert 'TO "looker"; GRANT ALL ON ALL SEQUENCES' in finding.remedy


def test_a_grant_as_it_is_advised_is_enough(visitor, connection):
    with closing(PostgresStore(visitor)) as store:
        connection.execute(found(store)["privileges"].remedy.partition("run: ")[2].encode())
        assert found(store)["privileges"].level == "ok"
        enqueue(store)
        assert store.acquire(join(store), "a lock")


def test_connections_of_others_are_counted_whoever_looks(store, visitor, postgres_database):
    with closing(PostgresStore(visitor)) as other:
        before = int(found(other)["connections"].says.partition(" ")[0])
        with psycopg.connect(postgres_database), psycopg.connect(postgres_database):
            after = int(found(other)["connections"].says.partition(" ")[0])
    assert after >= before + 2
    assert found(store)["connections"].level == "ok"


def test_more_workers_than_the_server_has_connections_for_is_a_warning(store, postgres_url):
    nodes = [join(store, f"node {number}") for number in range(4)]
    with closing(PostgresStore(f"{postgres_url}&max_connections=60")) as large:
        finding = found(large)["connections"]
    assert (finding.level, "4 live workers" in finding.says) == ("warning", True)
    assert "up to 61" in finding.says
    assert found(store)["connections"].level == "ok"
    for node in nodes:
        store.leave(node)


def test_the_limit_of_a_role_counts(store, visitor, connection):
    connection.execute("ALTER ROLE looker CONNECTION LIMIT 5")
    with closing(PostgresStore(visitor)) as other:
        finding = found(other)["connections"]
    assert (finding.level, "of 5 are in use" in finding.says) == ("warning", True)
    assert found(store)["connections"].level == "ok"


def test_the_oldest_transaction_is_named_with_its_process(store, postgres_database, monkeypatch):
    monkeypatch.setattr(examination, "OLD_SECONDS", -1.0)
    options = {"application_name": "a forgotten shell"}
    with psycopg.connect(postgres_database, **options) as forgotten:
        forgotten.execute("SELECT 1")
        finding = found(store)["transactions"]
        assert finding.level == "warning"
        assert f"process {forgotten.info.backend_pid} (a forgotten shell)" in finding.says


def test_a_role_that_sees_its_own_transactions_only_is_told_so(visitor):
    with closing(PostgresStore(visitor)) as store:
        finding = found(store)["transactions"]
    assert "this role may see" in finding.says
    assert 'GRANT pg_read_all_stats TO "looker"' in finding.remedy


def test_dead_rows_are_named_with_their_table(store, monkeypatch):
    monkeypatch.setattr(examination, "MOST_DEAD", -1)
    finding = found(store)["bloat"]
    assert (finding.level, "VACUUM" in finding.remedy) == ("warning", True)
