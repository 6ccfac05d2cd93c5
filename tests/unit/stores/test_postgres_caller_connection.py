"""What PostgresStore does in a transaction of the caller's, on the caller's connection."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from mainspring import Queue
from mainspring.errors import DuplicateJob, InvalidConnection, LeaseLost
from mainspring.model.job import JobState, OutcomeKind
from mainspring.testing.contracts.cases import (
    BROKEN,
    end,
    enqueue,
    found,
    join,
    new_job,
    outcome,
    start,
    want,
)

PLAIN = [new_job()] * 3
KEYED = [new_job(unique=key) for key in "abc"]


@pytest.fixture
def store(postgres_store):
    return postgres_store


@pytest.fixture
def connect(postgres_database):
    opened = []

    def connect(**options):
        opened.append(psycopg.connect(postgres_database, **options))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def engine(postgres_database):
    engine = create_engine(sqlalchemy_url(postgres_database))
    yield engine
    engine.dispose()


def sqlalchemy_url(database):
    return database.replace("postgresql://", "postgresql+psycopg://")


WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position(%s IN query) > 0
"""


def pending(store):
    return sum(states["pending"] for states in store.stats().values())


@pytest.mark.parametrize("options", [{}, {"autocommit": True}, {"row_factory": dict_row}])
@pytest.mark.parametrize("jobs", [PLAIN, KEYED], ids=["plain", "keyed"])
def test_the_jobs_exist_if_the_transaction_commits(store, connect, options, jobs):
    connection = connect(**options)
    with connection.transaction():
        job_ids = store.enqueue_in(connection, jobs)
        assert pending(store) == 0
    assert [claim.id for claim in store.claim(join(store), [want()])] == job_ids


@pytest.mark.parametrize("jobs", [PLAIN, KEYED], ids=["plain", "keyed"])
def test_nothing_exists_if_it_rolls_back(store, connect, jobs):
    connection = connect()
    store.enqueue_in(connection, jobs)
    connection.rollback()
    assert pending(store) == 0


def test_a_commit_wakes_who_waits_for_work(store, connect):
    ready = store.listen("ready")
    connection = connect()
    while ready.wait(0):
        pass
    store.enqueue_in(connection, [new_job()])
    assert ready.wait(0.05) is None
    connection.commit()
    assert ready.wait(10) is not None
    ready.close()


def test_without_an_open_transaction_it_is_refused(store, connect):
    with pytest.raises(InvalidConnection, match="no transaction is open"):
        store.enqueue_in(connect(autocommit=True), [new_job()])


def test_a_failed_transaction_is_refused(store, connect):
    connection = connect()
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT nothing")
    with pytest.raises(InvalidConnection, match="has failed"):
        store.enqueue_in(connection, [new_job()])


def test_a_database_without_the_queue_is_refused_by_name(store, connect, postgres_database):
    store.stats()
    connect(autocommit=True).execute("DROP DATABASE IF EXISTS another")
    connect(autocommit=True).execute("CREATE DATABASE another")
    with psycopg.connect(postgres_database, dbname="another") as other:
        with pytest.raises(InvalidConnection, match="'another' has no schema"):
            store.enqueue_in(other, [new_job()])
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_a_refused_batch_leaves_the_callers_transaction_as_it_was(store, connect):
    first = enqueue(store, unique="k")
    connection = connect()
    (kept,) = store.enqueue_in(connection, [new_job()])
    with pytest.raises(DuplicateJob) as refused:
        store.enqueue_in(connection, [new_job(), new_job(unique="k", on_conflict="raise")])
    connection.commit()
    assert refused.value.job_id == first
    assert {job.id for job in map(store.get, [first, kept])} == {first, kept}
    assert pending(store) == 2


def test_a_job_is_finished_if_and_only_if_the_transaction_commits(store, connect):
    node, claim = start(store, enqueue(store))
    connection = connect()
    assert store.finish_in(connection, node, outcome(claim, result=b"1")) is True
    connection.rollback()
    assert store.get(claim.id).state is JobState.RUNNING
    assert store.finish_in(connection, node, outcome(claim, result=b"2")) is True
    assert store.finish_in(connection, node, outcome(claim, result=b"3")) is False
    connection.commit()
    assert (store.get(claim.id).state, store.get(claim.id).result) == (JobState.COMPLETED, b"2")


def test_a_node_that_has_gone_finishes_nothing(store, connect):
    node, claim = start(store, enqueue(store))
    store.leave(node)
    with pytest.raises(LeaseLost):
        store.finish_in(connect(), node, outcome(claim, OutcomeKind.COMPLETED))


def test_a_retry_meets_the_job_of_a_transaction_that_commits_meanwhile(
    store, connect, connection, postgres_url, until
):
    failed = enqueue(store, unique="k")
    end(store, failed, OutcomeKind.FAILED, failure=BROKEN)
    callers, schema = connect(), postgres_url.rpartition("schema=")[2]
    (live,) = store.enqueue_in(callers, [new_job(unique="k")])
    with ThreadPoolExecutor(1) as threads:
        retried = threads.submit(store.retry, [failed])
        until(lambda: connection.execute(WAITS, (schema,)).fetchone() == (1,))
        callers.commit()
        assert retried.result(10) == [live]
    assert found(store, failed).state is JobState.FAILED


def test_sqlalchemys_connection_and_session_will_do(store, engine):
    with engine.begin() as connection:
        store.enqueue_in(connection, PLAIN)
    with Session(engine) as session, session.begin():
        session.execute(text("SELECT 1"))
        store.enqueue_in(session, KEYED)
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        store.enqueue_in(session, PLAIN)
    assert pending(store) == 6


def test_an_asynchronous_connection_will_do(store, postgres_database):
    async def use():
        async with await psycopg.AsyncConnection.connect(postgres_database) as connection:
            await connection.execute("SELECT 1")
            job_ids = store.enqueue_in(connection, KEYED)
            await connection.commit()
            store.enqueue_in(connection, PLAIN)
            await connection.rollback()
            rows = await (await connection.execute("SELECT 1")).fetchall()
        return job_ids, rows

    job_ids, rows = asyncio.run(use())
    assert ([store.get(job_id).id for job_id in job_ids], rows) == (job_ids, [(1,)])
    assert pending(store) == 3


def test_sqlalchemys_asynchronous_connection_will_do_in_run_sync(store, postgres_database):
    async def use():
        engine = create_async_engine(sqlalchemy_url(postgres_database))
        async with engine.begin() as connection:
            await connection.run_sync(lambda one: store.enqueue_in(one, PLAIN))
        await engine.dispose()

    asyncio.run(use())
    assert pending(store) == 3


async def _seen_of_async_session(database, task, look, *, commit):
    engine = create_async_engine(sqlalchemy_url(database))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        jobs = [await task.using(conn=session).adelay(), *await task.using(conn=session).amap([()])]
        await (session.commit() if commit else session.rollback())
        seen = [look(job) for job in jobs]
    await engine.dispose()
    return seen


@pytest.mark.parametrize("commit", [True, False])
def test_jobs_go_into_an_async_session_by_adelay_and_amap(postgres_url, postgres_database, commit):
    queue = Queue(postgres_url)
    task = queue.task(name="noop")(lambda: None)
    queue.migrate()

    def look(job):
        return queue.get_job(job.id) is not None

    seen = asyncio.run(_seen_of_async_session(postgres_database, task, look, commit=commit))
    assert seen == [commit, commit]
    queue.close()


@pytest.mark.parametrize("commit", [True, False])
def test_the_kit_follows_an_async_session(postgres_database, commit):
    queue = Queue("memory://")
    task = queue.task(name="noop")(lambda: None)
    with queue.testing() as t:

        def look(_job):
            return len(t.jobs(task=task))

        seen = asyncio.run(_seen_of_async_session(postgres_database, task, look, commit=commit))
        assert seen == ([2, 2] if commit else [0, 0])


def test_an_async_session_given_to_delay_is_refused_with_what_to_do(postgres_url):
    queue = Queue(postgres_url)
    task = queue.task(name="noop")(lambda: None)
    with pytest.raises(InvalidConnection, match=r"type is AsyncSession; .* await adelay\(\)"):
        task.using(conn=AsyncSession()).delay()
    queue.close()


def test_djangos_connection_will_do(store, postgres_database):
    settings = pytest.importorskip("django.conf").settings
    folder = postgres_database.partition("host=")[2]
    if not settings.configured:
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres"}
        database |= {"USER": "mainspring", "HOST": folder}
        settings.configure(DATABASES={"default": database}, USE_TZ=True)
    from django.db import connection, transaction  # noqa: PLC0415  # it reads its settings

    with transaction.atomic():
        store.enqueue_in(connection, PLAIN)
        assert pending(store) == 0
    with pytest.raises(InvalidConnection, match="no transaction"):
        store.enqueue_in(connection, PLAIN)
    connection.close()
    assert pending(store) == 3


@pytest.mark.parametrize("module", ["asyncpg.connection", "psycopg2.extensions", "sqlite3"])
def test_a_connection_of_another_driver_is_refused_with_what_works(store, module):
    other = type("Connection", (), {"__module__": module})()
    with pytest.raises(InvalidConnection, match="give one of psycopg 3"):
        store.enqueue_in(other, [new_job()])


def test_the_queue_takes_jobs_into_the_transaction_and_completes_in_it(postgres_url, connect):
    queue = Queue(postgres_url, workers=1, grace=5)

    @queue.task(name="add")
    def add(a, b):
        return a + b

    connection = connect()
    with queue.worker(), queue.transaction(connection), connection:
        job = add.using(conn=connection).delay(1, 2)
        assert queue.get_job(job.id) is None
        connection.commit()
        assert job.result(timeout=10) == 3
    queue.close()


@pytest.mark.parametrize("jobs", [PLAIN, KEYED], ids=["plain", "keyed"])
@pytest.mark.parametrize("taken", [False, True], ids=["free keys", "taken keys"])
def test_jobs_are_enqueued_in_a_pipeline(store, connect, postgres_url, connection, jobs, taken):
    known = store.enqueue_many(PLAIN)
    if taken:
        schema = postgres_url.rpartition("schema=")[2]
        connection.execute(f"SELECT setval('{schema}.job_keys', 1, false)")
        store.session.forget_keys()
    with connect() as mine, mine.pipeline():
        ids = store.enqueue_in(mine, jobs)
    assert [found(store, one).id for one in known + ids] == known + ids


def test_an_error_in_a_pipeline_leaves_the_transaction_of_the_caller(store, connect):
    enqueue(store, unique="a")
    with connect() as mine:
        mine.execute("CREATE TEMPORARY TABLE mine (number int)")
        with mine.pipeline():
            mine.execute("INSERT INTO mine VALUES (1)")
            with pytest.raises(DuplicateJob):
                store.enqueue_in(mine, [new_job(unique="a", on_conflict="raise")])
        assert mine.execute("SELECT count(*) FROM mine").fetchone() == (1,)
