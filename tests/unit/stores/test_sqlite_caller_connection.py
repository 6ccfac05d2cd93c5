"""What SqliteStore does in a transaction of the caller's, on the caller's connection."""

import sqlite3
import sys
import threading
import time

import pytest

from mainspring.errors import DuplicateJob, InvalidConnection, LeaseLost, StoreBusy
from mainspring.model.job import JobState, Outcome, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.connections.caller_connection import qualified
from mainspring.testing.contracts.cases import enqueue, join, new_job, outcome, start, want

# How the caller's driver begins: by hand, before the first write, or (3.12) always.
MODES = [
    pytest.param({"isolation_level": None}, id="by hand"),
    pytest.param({}, id="legacy"),
    pytest.param({"isolation_level": "IMMEDIATE"}, id="legacy immediate"),
]
if sys.version_info >= (3, 12):
    MODES += [
        pytest.param({"autocommit": True}, id="autocommit"),
        pytest.param({"autocommit": False}, id="no autocommit"),
    ]


@pytest.fixture
def store(store):
    store.stats()  # the file and its tables are there from now on
    return store


@pytest.fixture
def connect(path):
    opened = []

    def connect(to=path, **options):
        opened.append(sqlite3.connect(to, **{"timeout": 0.2, **options}))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def guest(connect, store):
    """Return a connection with a table of its own, and a transaction that is open."""
    connection = connect(isolation_level=None)
    connection.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY)")
    connection.execute("BEGIN IMMEDIATE")
    return connection


def pending(store):
    return sum(states["pending"] for states in store.stats().values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jobs", [[new_job()] * 3, [new_job(unique=key) for key in "abc"]])
def test_the_jobs_exist_if_the_transaction_commits(store, connect, mode, jobs):
    connection = connect(**mode)
    connection.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY)")
    connection.commit()
    if mode.get("isolation_level", "") is None or mode.get("autocommit") is True:
        connection.execute("BEGIN")
    connection.execute("INSERT INTO orders VALUES (1)")
    job_ids = store.enqueue_in(connection, jobs)
    assert connection.in_transaction
    assert pending(store) == 0
    connection.execute("COMMIT")
    assert [record.id for record in map(store.get, job_ids)] == job_ids
    assert [claim.id for claim in store.claim(join(store), [want()])] == job_ids


@pytest.mark.parametrize("mode", MODES)
def test_nothing_exists_if_it_rolls_back(store, connect, mode):
    connection = connect(**mode)
    if not connection.in_transaction:
        connection.execute("BEGIN")
    (job_id,) = store.enqueue_in(connection, [new_job("rolled", "back", idempotency_key="i")])
    connection.execute("ROLLBACK")
    assert (store.get(job_id), pending(store), store.lanes()) == (None, 0, [])
    # Its lane is gone, and its number goes to another.
    other = enqueue(store, "another", "one")
    again = enqueue(store, "rolled", "back", idempotency_key="i")
    assert (store.get(other).task, store.get(again).task) == ("another", "rolled")


def test_without_an_open_transaction_it_is_refused(store, connect):
    with pytest.raises(InvalidConnection, match="no transaction is open"):
        store.enqueue_in(connect(), [new_job()])


def test_a_tag_finds_a_job_of_an_attached_file(store, path, connect, tmp_path):
    connection = connect(tmp_path / "other.db", isolation_level=None)
    connection.execute("CREATE TABLE mainspring_tags (name TEXT)")
    connection.execute("ATTACH DATABASE ? AS jobs_here", (str(path),))
    connection.execute("BEGIN IMMEDIATE")
    (job_id,) = store.enqueue_in(connection, [new_job(options=b'{"tags":["eu"]}')])
    connection.execute("COMMIT")
    assert [job.id for job in store.jobs(JobFilter(tag="eu"))] == [job_id]


@pytest.mark.parametrize("alias", ["queue", 'od"d name', "jobs"])
def test_an_attached_file_is_found_under_its_name(store, path, connect, tmp_path, alias):
    connection = connect(tmp_path / "app.db", isolation_level=None)
    # Tables that are called as ours are, in front of ours.
    connection.execute("CREATE TABLE mainspring_jobs (x)")
    connection.execute("CREATE TEMP TABLE mainspring_lanes (x)")
    quoted = alias.replace('"', '""')
    connection.execute(f'ATTACH DATABASE ? AS "{quoted}"', (str(path),))
    node, claim = start(store, enqueue(store))
    other = enqueue(store, unique="k")
    connection.execute("BEGIN IMMEDIATE")
    jobs = [new_job(), new_job("new", expires=5.0), new_job(unique="k", on_conflict="replace")]
    job_ids = store.enqueue_in(connection, jobs)
    assert store.enqueue_in(connection, [new_job()] * 2)
    assert store.finish_in(connection, node, outcome(claim, OutcomeKind.RETRY)) is True
    assert connection.execute("SELECT count(*) FROM main.mainspring_jobs").fetchone() == (0,)
    connection.execute("COMMIT")
    assert (job_ids[2], pending(store)) == (other, 6)


def test_another_database_is_refused_by_both_names(store, path, connect, tmp_path):
    connection = connect(tmp_path / "app.db", isolation_level=None)
    connection.execute("BEGIN")
    with pytest.raises(InvalidConnection) as refused:
        store.enqueue_in(connection, [new_job()])
    assert str(tmp_path / "app.db") in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_database_in_memory_is_refused(store, connect):
    connection = connect(":memory:", isolation_level=None)
    connection.execute("BEGIN")
    with pytest.raises(InvalidConnection, match="a database in memory"):
        store.enqueue_in(connection, [new_job()])


def test_a_file_by_another_path_is_the_same_file(store, path, connect, tmp_path):
    (tmp_path / "link.db").symlink_to(path)
    connection = connect(tmp_path / "link.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    store.enqueue_in(connection, [new_job()])
    connection.execute("COMMIT")
    assert pending(store) == 1


@pytest.mark.parametrize("module", ["apsw", "pysqlite3.dbapi2"])
def test_another_sqlite_library_is_refused(store, module):
    foreign = type("Connection", (), {"__module__": module, "in_transaction": True})()
    with pytest.raises(InvalidConnection, match="locks"):
        store.enqueue_in(foreign, [new_job()])


def test_what_is_no_connection_is_refused(store):
    with pytest.raises(InvalidConnection, match="no connection to SQLite"):
        store.enqueue_in("jobs.db", [new_job()])


def test_the_callers_factories_change_nothing_and_stay(store, guest):
    guest.row_factory, guest.text_factory = sqlite3.Row, bytes
    node, claim = start_in(store, guest)
    guest.execute("BEGIN IMMEDIATE")
    (job_id,) = store.enqueue_in(guest, [new_job(unique="größer")])
    assert store.enqueue_in(guest, [new_job(unique="größer")]) == [job_id]
    assert store.finish_in(guest, node, outcome(claim, OutcomeKind.CRASHED)) is True
    assert (guest.row_factory, guest.text_factory) == (sqlite3.Row, bytes)
    guest.execute("COMMIT")
    assert store.get(claim.id).crashes == 1


def start_in(store, guest):
    """Let a job run while the guest's transaction is not open."""
    guest.execute("COMMIT")
    return start(store, enqueue(store))


def test_a_refused_batch_leaves_the_transaction_as_it_was(store, guest):
    guest.execute("INSERT INTO orders VALUES (1)")
    (first,) = store.enqueue_in(guest, [new_job(unique="k")])
    with pytest.raises(DuplicateJob) as refused:
        store.enqueue_in(guest, [new_job(), new_job(unique="k", on_conflict="raise")])
    assert refused.value.job_id == first
    guest.execute("COMMIT")
    assert pending(store) == 1
    assert guest.execute("SELECT number FROM orders").fetchall() == [(1,)]


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_an_outcome_stands_if_the_transaction_commits(store, guest, kind):
    node, claim = start_in(store, guest)
    told = outcome(claim, kind)
    for end in ("ROLLBACK", "COMMIT"):
        guest.execute("BEGIN IMMEDIATE")
        assert store.finish_in(guest, node, told) is True
        assert store.get(claim.id).state is JobState.RUNNING
        guest.execute(end)
        assert (store.get(claim.id).state is JobState.RUNNING) == (end == "ROLLBACK")
    # Told later with that fence it is on record, and nothing new.
    before = store.get(claim.id), store.history(claim.id)
    assert store.finish_many(node, [told]) == [True]
    assert (store.get(claim.id), store.history(claim.id)) == before


def test_an_outcome_of_another_fence_is_refused(store, guest):
    node, claim = start_in(store, guest)
    guest.execute("BEGIN IMMEDIATE")
    stale = Outcome(claim.key, claim.fence + 1, OutcomeKind.COMPLETED, result=b"1")
    assert store.finish_in(guest, node, stale) is False
    assert store.finish_in(guest, node, outcome(claim)) is True
    assert store.finish_in(guest, node, outcome(claim)) is False
    guest.execute("COMMIT")
    assert store.get(claim.id).state is JobState.COMPLETED


def test_a_node_that_is_gone_finishes_nothing(store, guest):
    node, claim = start_in(store, guest)
    store.rescue(node, dead=True, begun=())
    guest.execute("BEGIN IMMEDIATE")
    with pytest.raises(LeaseLost):
        store.finish_in(guest, node, outcome(claim))
    guest.execute("COMMIT")
    assert store.get(claim.id).state is JobState.PENDING


def test_a_locked_database_is_told_as_busy(store, connect):
    connection = connect(isolation_level=None)
    connection.execute("BEGIN")
    with store._session.writer, pytest.raises(StoreBusy, match="timeout="):
        store.enqueue_in(connection, [new_job()])
    connection.execute("ROLLBACK")
    assert pending(store) == 0


def test_a_transaction_that_has_read_too_early_is_told_how_to_begin(store, connect):
    connection = connect(isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM mainspring_jobs").fetchall()
    enqueue(store)
    with pytest.raises(StoreBusy, match="BEGIN IMMEDIATE"):
        store.enqueue_in(connection, [new_job()])


def test_a_file_that_is_not_prepared_yet_is_prepared_if_it_is_free(path, connect):
    store = SqliteStore(path)
    connection = connect(isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN")
    job_ids = store.enqueue_in(connection, [new_job()])
    connection.execute("COMMIT")
    assert store.get(job_ids[0]).state is JobState.PENDING
    store.close()


def test_a_file_that_is_not_prepared_and_not_free_is_told(path, connect):
    store = SqliteStore(path, busy_timeout=30)
    connection = connect(isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(InvalidConnection, match="must be prepared first"):
        store.enqueue_in(connection, [new_job()])
    assert time.monotonic() - began < 20
    connection.execute("ROLLBACK")
    assert store.enqueue_many([new_job()])
    store.close()


def test_a_writer_that_waits_for_the_guest_goes_on_after_it(store, guest):
    store.enqueue_in(guest, [new_job()])
    waiting = threading.Thread(target=store.enqueue_many, args=([new_job()],))
    waiting.start()
    # The one that waits has the pen and not the lock: the guest's statements go on meanwhile.
    store.enqueue_in(guest, [new_job()])
    guest.execute("COMMIT")
    waiting.join(30)
    assert pending(store) == 3


def grow_log(store, connection, commits, *, announced=True):
    for _ in range(commits):
        connection.execute("BEGIN IMMEDIATE")
        store.enqueue_in(connection, [new_job(payload=b'["' + b"x" * 50_000 + b'"]')])
        connection.execute("COMMIT")
        if announced:
            store.announce()


def test_a_program_that_only_writes_on_its_own_connection_keeps_the_log_short(store, connect):
    log = store._session.writer._log
    log._fold_bytes = log._fold_at_bytes = 1 << 20
    grow_log(store, connect(isolation_level=None), 200)
    assert store._file.wal.stat().st_size < 5 << 20


def test_folding_waits_for_nobody(store, connect):
    log = store._session.writer._log
    log._fold_bytes = log._fold_at_bytes = 1 << 20
    connection = connect(isolation_level=None)
    grow_log(store, connection, 40, announced=False)
    other = SqliteStore(store._file.path, durability="normal")
    with other._session.writer:
        began = time.monotonic()
        for _ in range(64):
            store.announce()
        assert time.monotonic() - began < 5
        assert log.is_long()
    other.close()
    for _ in range(64):
        store.announce()
    grow_log(store, connection, 1)
    assert not log.is_long()


def test_the_connection_does_not_fold_the_log(store, guest):
    store.enqueue_in(guest, [new_job()])
    assert guest.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


def test_a_commit_without_a_ring_is_found_and_an_announced_one_rings(store, guest):
    ready, ended = store.listen("ready"), store.listen("ended")
    while ready.wait(0) or ended.wait(0):
        pass
    store.enqueue_in(guest, [new_job()])
    guest.execute("COMMIT")
    assert ready.wait(30)
    while ready.wait(0) or ended.wait(0):
        pass
    store.announce()
    assert ready._sleep(30) and ended._sleep(30)  # noqa: PT018  # the ring itself, not the net
    ready.close()
    ended.close()


def test_every_table_of_ours_is_meant_by_its_schema(store, guest):
    tables = {
        name
        for (name,) in guest.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_") and name != "orders"
    }
    assert len(tables) > 8
    for table in tables:
        assert qualified(f"DELETE FROM {table} WHERE 0", "a") == f'DELETE FROM "a".{table} WHERE 0'
