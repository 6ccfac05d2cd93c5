"""What SqliteStore does in a transaction of SQLAlchemy's."""

import pytest

from mainspring.errors import InvalidConnection
from mainspring.testing.contracts.cases import enqueue, new_job, outcome, start

sqlalchemy = pytest.importorskip("sqlalchemy")
orm = pytest.importorskip("sqlalchemy.orm")


@pytest.fixture
def store(store):
    store.stats()  # the file and its tables are there from now on
    return store


def pending(store):
    return sum(states["pending"] for states in store.stats().values())


@pytest.fixture
def engine(path, store):
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("commits", [True, False])
def test_a_session_of_sqlalchemy(store, engine, commits):
    node, claim = start(store, enqueue(store))
    with orm.Session(engine) as session:
        session.begin()
        store.enqueue_in(session, [new_job(), new_job(unique="k")])
        assert store.finish_in(session, node, outcome(claim)) is True
        assert pending(store) == 0
        session.commit() if commits else session.rollback()
    assert pending(store) == (2 if commits else 0)
    assert store.get(claim.id).state == ("completed" if commits else "running")


@pytest.mark.parametrize("commits", [True, False])
def test_a_connection_of_sqlalchemy(store, engine, commits):
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS mine (x)"))
        store.enqueue_in(connection, [new_job()])
        transaction.commit() if commits else transaction.rollback()
    assert pending(store) == commits


def test_a_scoped_session_and_a_session_of_a_subclass(store, engine):
    scoped = orm.scoped_session(orm.sessionmaker(engine, class_=type("Mine", (orm.Session,), {})))
    with scoped.begin():
        store.enqueue_in(scoped, [new_job()])
        store.enqueue_in(scoped(), [new_job()])
    scoped.remove()
    assert pending(store) == 2


def test_sqlalchemy_without_a_transaction_is_refused(store, engine):
    with orm.Session(engine) as session, engine.connect() as connection:
        for one in (session, connection):
            with pytest.raises(InvalidConnection, match="no transaction is open"):
                store.enqueue_in(one, [new_job()])


def test_sqlalchemy_that_commits_each_statement_is_refused(store, engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.begin()
        with pytest.raises(InvalidConnection, match="commits each statement"):
            store.enqueue_in(connection, [new_job()])
    assert pending(store) == 0


def test_sqlalchemy_over_another_database_is_refused(store):
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection, pytest.raises(InvalidConnection, match="in memory"):
        store.enqueue_in(connection, [new_job()])
    engine.dispose()


def test_an_asynchronous_session_is_refused(store):
    session = type("AsyncSession", (), {"__module__": "sqlalchemy.ext.asyncio", "sync_session": 1})
    with pytest.raises(InvalidConnection, match="no connection to SQLite"):
        store.enqueue_in(session(), [new_job()])


def test_an_engine_is_refused(store, engine):
    with pytest.raises(InvalidConnection, match="Session or Connection"):
        store.enqueue_in(engine, [new_job()])
