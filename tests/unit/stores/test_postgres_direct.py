"""The direct connection to PostgreSQL: one thread, however many want it at once."""

import os
import resource
import sys
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest

from mainspring.errors import StoreUnreachable, StoreUnusable
from mainspring.model.job import ANY_JOB
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.postgres.connections.direct import DirectConnection
from mainspring.testing.contracts.cases import enqueue

CALLERS = 8
ROUNDS = 30
MOST_OF_SELECT = 1024


@pytest.fixture
def switching():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def unreachable_error():
    return StoreUnreachable("a server", "it is not there", "start it")


def unreachable(_conninfo):
    raise unreachable_error()


class Refusing:
    """A connector that raises what it is given, in turn, and the last for ever."""

    def __init__(self, *errors):
        self._errors = list(errors)
        self.calls = 0

    def __call__(self, _conninfo):
        self.calls += 1
        raise self._errors.pop(0) if len(self._errors) > 1 else self._errors[0]


@pytest.mark.usefixtures("no_thread_left")
def test_who_sleeps_looks_once_a_second_when_listening_is_refused():
    address = SimpleNamespace(listen_conninfo="", channel=str, listen=True)
    refusing = Refusing(
        StoreUnreachable("a server", "it is not there", "start it"),
        StoreUnusable("a server", "it is behind a pooler", "give listen_url="),
    )
    direct = DirectConnection(address, refusing)
    listener = direct.listen("ready")
    # Until then it sleeps as if nothing were the matter: the server will be back.
    assert [listener.wait(30), listener.wait(30)] == [ANY_JOB] * 2
    assert refusing.calls >= 2
    direct.close()


@pytest.fixture
def many_files():
    """Have so many files open that further ones have numbers that `select` does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * MOST_OF_SELECT), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(MOST_OF_SELECT)]
    yield
    for file in files:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files", "no_thread_left")
def test_a_process_with_many_files_open_connects_again(until):
    address = SimpleNamespace(listen_conninfo="", channel=str, listen=True)
    direct = DirectConnection(address, connector := Refusing(unreachable_error()))
    listener = direct.listen("ready")
    until(lambda: connector.calls > 1)
    listener.close()
    direct.close()


@pytest.mark.usefixtures("switching", "no_thread_left")
def test_callers_that_wake_it_at_once_start_one_thread():
    address = SimpleNamespace(listen_conninfo="", channel=str, listen=True)
    for _ in range(ROUNDS):
        direct = DirectConnection(address, unreachable)
        barrier = threading.Barrier(CALLERS)

        def hold(lock, direct=direct, barrier=barrier):
            barrier.wait()
            direct.hold(lock)

        callers = [threading.Thread(target=hold, args=(lock,)) for lock in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        running = [one for one in threading.enumerate() if one.name == "mainspring-listener"]
        direct.close()
        assert len(running) == 1


@pytest.mark.parametrize("payload", ["hello", "1,two", "\N{SUPERSCRIPT TWO}", "9" * 5_000])
def test_who_sleeps_is_woken_after_a_notice_that_somebody_else_has_sent(
    postgres_url, connection, payload
):
    store, other = (PostgresStore(postgres_url, durability="normal") for _ in range(2))
    enqueue(other)
    ready = store.listen("ready")
    while ready.wait(0.1):
        pass
    channel = f"{postgres_url.rpartition('schema=')[2]}_ready"
    connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
    assert ready.wait(10) == ANY_JOB
    enqueue(other)
    assert ready.wait(10) is not None
    for one in (ready, store, other):
        one.close()


def test_who_waits_for_nothing_is_notified_of_nothing(postgres_url, until, connection):
    store, other = (PostgresStore(postgres_url, durability="normal") for _ in range(2))
    waiting = store.listen("ended")
    enqueue(other)
    heard = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s"
    channel = f'%LISTEN "{postgres_url.rpartition("schema=")[2]}_'
    assert connection.execute(heard, (f"{channel}ended%",)).fetchone() == (1,)
    assert connection.execute(heard, (f"{channel}ready%",)).fetchone() == (0,)
    for one in (waiting, store, other):
        one.close()


def hears_of_a_job(listener, other):
    """Return whether a listener is notified of a new job, once it has heard of all before."""
    while listener.wait(0.2):
        pass
    enqueue(other)
    return listener.wait(10) is not None


@pytest.fixture
def stores(postgres_url):
    stores = [PostgresStore(postgres_url, durability="normal") for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def test_who_begins_to_listen_as_the_last_one_ends_is_notified(stores, monkeypatch):
    store, other = stores
    direct = store.session.direct
    let_go, begun = direct.let_go, []

    def let_go_late(lock):
        begun.append(store.listen("ready"))
        let_go(lock)

    first = store.listen("ready")
    monkeypatch.setattr(direct, "let_go", let_go_late)
    first.close()
    monkeypatch.undo()
    with closing(begun[0]) as second:
        assert hears_of_a_job(second, other)


def test_who_listens_in_the_process_of_doctor_is_still_notified(stores):
    store, other = stores
    with closing(store.listen("ready")) as listener:
        assert "listening" in [one.check for one in store.examine()]
        assert hears_of_a_job(listener, other)


@pytest.mark.usefixtures("no_thread_left")
def test_a_listener_that_ends_after_its_store_was_closed_leaves_no_thread(postgres_url):
    store = PostgresStore(postgres_url, durability="normal")
    listener = store.listen("ready")
    store.close()
    listener.close()
    assert "mainspring-listener" not in [one.name for one in threading.enumerate()]
    store.close()
