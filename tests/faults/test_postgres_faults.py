"""The server, its backends, the network and the workers die: nothing is lost or recorded twice."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from urllib.parse import quote

import psycopg
import pytest

from mainspring import Queue
from mainspring.errors import StoreUnreachable, StoreUnusable
from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.stores.postgres import PostgresStore
from mainspring.testing.clock import FrozenClock
from mainspring.testing.contracts.cases import join, new_job, outcome, want
from servers import postgres
from servers.proxy import Proxy

pytestmark = pytest.mark.timeout(300)

EVERYTHING = JobFilter()
CANCELLED = JobFilter(status=JobState.CANCELLED)
COMPLETED = JobFilter(status=JobState.COMPLETED)

RESTARTS = 10
JOBS = 400

APP = """
    import os
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue({url!r}, workers=4, lease=5, heartbeat=1)
    DIARY = Path(__file__).with_name("diary.txt")

    def write(line):
        diary = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{{line}}\\n".encode())
        os.close(diary)

    @queue.task
    def short(number):
        write(f"begin {{number}} {{time.time()}} {{os.getpid()}}")
        time.sleep(0.01)
        return number

    @queue.task
    def long(seconds):
        write(f"begin long {{time.time()}} {{os.getpid()}}")
        time.sleep(seconds)
        return seconds

    @queue.task
    def hold(number):
        write(f"begin {{number}} {{time.time()}} {{os.getpid()}}")
        while not DIARY.with_name("go").exists():
            time.sleep(0.01)
        return number
"""


@pytest.fixture
def server():
    """A server of this test's own, to be stopped and started."""
    server = postgres.make_server()
    server.start()
    yield server
    postgres.throw_away(server)


@pytest.fixture
def store(postgres_url):
    store = PostgresStore(postgres_url, durability="normal")
    store.stats()
    yield store
    store.close()


def diary(folder):
    path = folder / "diary.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def backends(connection):
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'mainspring' AND pid <> pg_backend_pid()"
    ).fetchall()
    return [pid for (pid,) in rows]


def test_a_server_that_stops_at_once_ten_times_costs_no_live_node_a_job(
    server, make_app, start_worker, tmp_path, eventually
):
    app = make_app(APP.format(url=server.url))
    long = app.long.delay(RESTARTS * 0.8)
    start_worker()
    eventually(lambda: diary(tmp_path), within=30)
    jobs = []
    for restart in range(RESTARTS):
        jobs += app.short.map([(restart * 40 + number,) for number in range(40)])
        time.sleep(0.1)
        server.stop(signal.SIGQUIT)
        server.start()
    eventually(lambda: app.queue.stats()["completed"] == len(jobs) + 1, within=120)
    assert [job.result(timeout=5) for job in jobs] == list(range(len(jobs)))
    assert long.result(timeout=5) == RESTARTS * 0.8
    begun = Counter(line[1] for line in diary(tmp_path))
    assert begun["long"] == 1
    assert sum(record.crashes for record in app.queue._store.jobs(EVERYTHING, limit=1000)) == 0


def test_every_backend_that_is_ended_is_replaced_the_listening_one_too(
    postgres_database, postgres_url, make_app, start_worker, eventually
):
    app = make_app(APP.format(url=postgres_url))
    start_worker()
    assert app.short.delay(-1).result(timeout=30) == -1
    jobs = app.short.map([(number,) for number in range(JOBS)])
    with psycopg.connect(postgres_database, autocommit=True) as killer:
        for _ in range(20):
            for pid in backends(killer):
                killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
            time.sleep(0.05)
    assert [job.result(timeout=60) for job in jobs] == list(range(JOBS))
    # It listens again: nobody polls so often.
    assert app.short.delay(JOBS).result(timeout=30) == JOBS
    eventually(lambda: app.queue.stats()["completed"] == JOBS + 2)


def test_a_job_of_a_killed_worker_runs_again_within_two_seconds(
    postgres_url, make_app, start_worker, tmp_path, eventually
):
    app = make_app(APP.format(url=postgres_url))
    worker = start_worker()
    jobs = app.hold.map([(number,) for number in range(4)])
    eventually(lambda: len(diary(tmp_path)) == 4, within=30)
    other = start_worker()
    eventually(lambda: len(app.queue.nodes()) == 2, within=30)
    killed = time.time()
    worker.kill()
    again = eventually(
        lambda: [float(line[2]) for line in diary(tmp_path) if line[3] == str(other.process.pid)],
        within=20,
    )
    assert min(again) - killed < 2
    (tmp_path / "go").touch()
    assert [job.result(timeout=30) for job in jobs] == list(range(4))


def test_a_node_that_is_neither_connected_nor_renews_is_lost_before_its_lease(
    postgres_url, eventually
):
    clock = FrozenClock()
    store = PostgresStore(postgres_url, durability="normal", clock=clock)
    other = PostgresStore(postgres_url, durability="normal", clock=clock)
    store.enqueue_many([new_job()])
    node = join(store)
    (claim,) = store.claim(node, [want()])
    clock.advance(8)
    assert other.rescue(node, dead=False, begun=None) is None
    store.close()
    # The server frees the lock of a connection that is closed a moment later.
    eventually(lambda: other.nodes()[0].expires_in <= 0)
    assert other.rescue(node, dead=False, begun=None).requeued == [claim.key]
    other.close()


@pytest.mark.parametrize(
    ("jobs", "first"),
    [
        ([new_job()], b"EXECUTE mainspring_job"),
        ([new_job()] * 50, b"json_to_recordset"),
        ([new_job(unique="k"), new_job(idempotency_key="i")], b"COMMIT"),
        ([new_job(expires=60.0)], b"COMMIT"),
    ],
    ids=["one", "many", "keys", "expiry"],
)
def test_an_enqueuing_whose_answer_is_lost_makes_one_row_for_one_call(
    postgres_database, postgres_url, jobs, first
):
    folder = postgres_database.partition("host=")[2]
    if not folder.startswith("/"):
        pytest.skip("the proxy stands before a Unix socket")
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    schema = postgres_url.rpartition("schema=")[2]
    store = PostgresStore(
        f"postgresql://mainspring@127.0.0.1:{proxy.port}/postgres?schema={schema}"
    )
    assert store.enqueue_many([new_job("other")])
    # Jobs without keys are one statement, which commits itself; done again, it is one of several.
    proxy.lose_reply_to(first)
    proxy.lose_reply_to(b"COMMIT")
    ids = store.enqueue_many(jobs)
    assert proxy.lost == 2
    node = join(store)
    assert sorted(claim.id for claim in store.claim(node, [want()])) == sorted(ids)
    store.close()
    proxy.close()


def test_a_server_that_does_not_answer_is_said_within_connect_timeout(postgres_url):
    schema = postgres_url.rpartition("schema=")[2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = probe.getsockname()[1]
    url = f"postgresql://u:secret@127.0.0.1:{dead}/d?schema={schema}&connect_timeout=1"
    store = PostgresStore(url)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="start the server") as error:
        store.enqueue_many([new_job()])
    assert time.monotonic() - began < 5
    assert "secret" not in str(error.value)
    store.close()


def test_deadlocks_are_done_again(store):
    """Two threads cancel the same jobs in opposite order, while each holds one of them."""
    ids = store.enqueue_many([new_job(unique=f"k{number}") for number in range(40)])
    failed = []

    def replace(order):
        try:
            for _ in range(20):
                jobs = [new_job(unique=f"k{n}", on_conflict="replace") for n in order]
                assert sorted(store.enqueue_many(jobs)) == sorted(ids)
        except BaseException as error:  # noqa: BLE001  # the test raises it
            failed.append(error)

    orders = range(40), range(39, -1, -1)
    threads = [threading.Thread(target=replace, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(store.claim(join(store), [want()])) == 40


def test_a_worker_waits_for_its_server_at_the_start(server, make_app, start_worker, eventually):
    app = make_app(APP.format(url=server.url))
    job = app.short.delay(1)
    app.queue.close()
    server.stop(signal.SIGINT)
    worker = start_worker()
    eventually(lambda: "has not answered for" in worker.output(), within=30)
    server.start()
    assert job.result(timeout=60) == 1
    assert worker.process.poll() is None


def test_an_outage_of_the_server_is_two_lines_of_a_workers_log(
    server, make_app, start_worker, eventually
):
    app = make_app(APP.format(url=server.url))
    worker = start_worker()
    assert app.short.delay(1).result(timeout=30) == 1
    server.stop(signal.SIGQUIT)
    eventually(lambda: "has not answered for" in worker.output(), within=30)
    # Until its lease has run out, too.
    eventually(lambda: "did not renew its lease" in worker.output(), within=30)
    server.start()
    eventually(lambda: "answers again, after" in worker.output(), within=30)
    assert app.short.delay(2).result(timeout=30) == 2
    outage, lapse, back = lines_of(worker)
    assert "postgresql://mainspring@/postgres has not answered" in outage
    assert "did not renew its lease" in lapse
    assert "answers again" in back


def lines_of(worker):
    """Return what a worker has logged."""
    return [line for line in worker.output().splitlines() if not line.startswith("[mainspring]")]


def test_workers_that_start_together_migrate_once(postgres_url):
    stores = [PostgresStore(postgres_url, durability="normal") for _ in range(20)]
    answers = []
    threads = [
        threading.Thread(target=lambda one=store: answers.append(one.stats())) for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert answers == [{}] * 20


def test_a_kill_in_the_midst_of_the_migration_leaves_the_old_schema_or_the_new(
    postgres_url, make_app, start_worker, monkeypatch, eventually
):
    monkeypatch.chdir(".")
    app = make_app(APP.format(url=postgres_url))
    worker = start_worker(env={"MAINSPRING_FAULT": "during_migration"})
    assert worker.wait() == -signal.SIGKILL
    start_worker()
    assert app.short.delay(1).result(timeout=30) == 1


UNDO_ONCE = """
CREATE SEQUENCE {schema}.undone;
CREATE FUNCTION {schema}.undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('{schema}.undone') = 1 THEN
    RAISE EXCEPTION 'undone' USING ERRCODE = 'deadlock_detected';
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER undo BEFORE UPDATE ON {schema}.jobs
FOR EACH ROW WHEN (new.priority = 7) EXECUTE FUNCTION {schema}.undo()
"""


def test_what_one_want_was_granted_is_known_though_the_next_is_undone(
    store, postgres_url, postgres_database
):
    first, second = store.enqueue_many([new_job("a"), new_job("b", priority=7)])
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(UNDO_ONCE.format(schema=postgres_url.rpartition("schema=")[2]))
    node = join(store)
    wants = [want("a"), want("b")]
    given = store.exchange(node, [], wants)
    assert ([claim.id for claim in given.claims], given.next_due) == ([first], 0.0)
    assert [claim.id for claim in store.exchange(node, [], wants).claims] == [second]


@pytest.mark.parametrize("level", ["repeatable\\ read", "serializable"])
def test_the_isolation_that_a_database_or_role_says_is_not_ours(postgres_url, level):
    """With another one a claim fails where others claim, and a retry sees what was before."""
    options = quote(f"-c default_transaction_isolation={level}")
    store = PostgresStore(f"{postgres_url}&options={options}", durability="normal")
    for work in (store.session.read, store.session.write):
        shown = work(lambda connection: connection.rows("SHOW transaction_isolation"))
        assert shown == [("read committed",)]
    store.close()


def test_outcomes_and_cancels_of_the_same_jobs_never_deadlock_for_good(store):
    ids = store.enqueue_many([new_job()] * 200)
    node = join(store)
    claims = store.claim(node, [want(limit=200)])

    def cancel():
        for start in range(0, 200, 20):
            store.cancel(ids[start : start + 20][::-1])

    thread = threading.Thread(target=cancel)
    thread.start()
    accepted = []
    for start in range(0, 200, 20):
        some = claims[start : start + 20][::-1]
        accepted += store.finish_many(
            node, [outcome_of(claim, number) for number, claim in enumerate(some)]
        )
    thread.join()
    assert accepted == [True] * 200
    again = store.exchange(node, (), [want(limit=200)]).claims
    cancelled = {job.id for job in store.jobs(CANCELLED, limit=1000)}
    assert len(again) + len(cancelled) + len(store.jobs(COMPLETED, limit=1000)) == 200


def outcome_of(claim, number):
    kind = OutcomeKind.RETRY if number % 2 else OutcomeKind.COMPLETED
    return outcome(claim, kind)


def test_an_unusable_queue_says_why_in_one_line(postgres_database, postgres_url):
    folder = postgres_database.partition("host=")[2]
    store = PostgresStore(f"postgresql://mainspring@/nowhere?host={folder}")
    with pytest.raises(StoreUnusable, match="does not exist.*check database") as error:
        store.stats()
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, StoreUnreachable)


def test_the_doctor_explains_a_database(postgres_url):
    queue = Queue(postgres_url)
    found = {one.check: one.level for one in queue.examine()}
    queue.close()
    assert found["server"] == found["schema"] == found["listening"] == found["privileges"] == "ok"
