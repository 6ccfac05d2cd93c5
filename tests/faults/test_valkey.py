"""Faults of a real Valkey server, and of the way to it: no job is lost, none is enqueued twice."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter

import pytest
from redis import Redis

from mainspring.errors import StoreError, StoreUnreachable, StoreUnusable
from mainspring.model.job import ANY_JOB
from mainspring.model.view import JobFilter
from mainspring.stores.redis import RedisStore
from mainspring.testing.contracts.cases import (
    LEASE,
    MINUTE,
    enqueue,
    join,
    new_job,
    outcome,
    schedule,
    want,
)
from servers.proxy import Proxy
from servers.valkey import ValkeyServer, free_port

ON_DISK = {"appendonly": "yes", "appendfsync": "always"}

APP = """
    import os
    import time
    from pathlib import Path

    from mainspring import Queue
    from mainspring.stores import run_folder

    run_folder.ROOT = Path(os.environ.get("HOST", run_folder.ROOT))
    lease = float(os.environ.get("LEASE", "15"))
    queue = Queue(
        {url!r}, workers=4, durability="normal", lease=lease, heartbeat=lease / 3, busy_timeout=12
    )
    DIARY = Path(__file__).with_name("diary.txt")

    def write(line):
        diary = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{{line}}\\n".encode())
        os.close(diary)

    @queue.task
    def short(number):
        write(f"begin {{number}}")
        time.sleep(0.005)
        write(f"end {{number}}")
        return number

    @queue.task
    def hold(number):
        write(f"begin {{number}}")
        while not DIARY.with_name("go").exists():
            time.sleep(0.01)
        write(f"end {{number}}")
"""


@pytest.fixture
def make_server(tmp_path):
    """Start servers; they end with the test."""
    servers = []

    def make(**settings):
        folder = tmp_path / f"valkey-{len(servers)}"
        folder.mkdir()
        servers.append(ValkeyServer(folder, **settings))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def make_store():
    """Open stores; they are closed after the test."""
    stores = []

    def make(url, **options):
        options = {"durability": "normal", "busy_timeout": 10.0, **options}
        stores.append(RedisStore(url, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def way(redis_url):
    """A proxy before the tests' server."""
    proxy = Proxy(int(redis_url.rpartition("/")[0].rpartition(":")[2]))
    yield proxy
    proxy.close()


class Losing:
    """Loses the answer of the next script of that name."""

    def __init__(self, store, name, way):
        self._server, self._name, self._way = store._open().server, name, way
        self._run, self._server.run = self._server.run, self.run
        self.all_lost = False

    def run(self, name, *request, **options):
        if name != self._name:
            return self._run(name, *request, **options)
        self._way.lose_replies(1)
        answer = self._run(name, *request, **options)
        self.all_lost = self._way.all_lost
        return answer


def through(way, url):
    """Return the URL by the proxy."""
    _, _, rest = url.partition("://")
    return f"redis://127.0.0.1:{way.port}/{rest.partition('/')[2]}"


def port_of(url):
    return int(url.rpartition(":")[2].partition("/")[0])


def diary(folder):
    file = folder / "diary.txt"
    return file.read_text().splitlines() if file.exists() else []


def number_of(store):
    return len(store.jobs(JobFilter(), limit=1000))


class TestLostAnswers:
    def test_an_enqueue_whose_answer_was_lost_makes_one_job(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        first = enqueue(store)
        way.lose_replies(1)
        second = enqueue(store)
        assert way.all_lost
        assert [job.id for job in store.jobs(JobFilter())] == [second, first]

    def test_every_answer_may_be_lost_once(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        enqueue(store)
        ids = []
        for number in range(20):
            way.lose_replies(number % 2)
            ids += store.enqueue_many([new_job(), new_job(unique=f"k{number}")])
        assert [job.id for job in store.jobs(JobFilter(), limit=100)][:-1] == ids[::-1]

    def test_callers_at_once_get_one_job_for_each_call(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        kept = []
        breaking = threading.Event()

        def call():
            kept.extend(enqueue(store) for _ in range(50))

        def disturb():
            while not breaking.wait(0.02):
                way.break_all()

        threads = [threading.Thread(target=call) for _ in range(4)]
        trouble = threading.Thread(target=disturb)
        for thread in (*threads, trouble):
            thread.start()
        for thread in threads:
            thread.join()
        breaking.set()
        trouble.join()
        assert len(set(kept)) == len(kept) == 200
        assert number_of(store) == 200

    def test_a_tick_whose_answer_was_lost_is_made_once(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        enqueue(store)
        store.declare([schedule()])
        (known,) = store.schedules().schedules
        lost = Losing(store, "enqueue", way)
        assert store.tick("s", last=known.last_tick, to=known.last_tick + MINUTE, jobs=[new_job()])
        assert lost.all_lost
        assert store.schedules().schedules[0].last_tick == known.last_tick + MINUTE
        assert number_of(store) == 2

    def test_claims_of_a_lost_answer_are_learned_by_asking(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        job_id = enqueue(store)
        node = join(store)
        assert store.claim(node, [want("another")]) == []  # the server knows the script now
        way.lose_replies(1)
        with pytest.raises(StoreError):
            store.exchange(node, [], [want()])
        (claim,) = store.held(node)
        assert claim.id == job_id
        assert store.finish_many(node, [outcome(claim)]) == [True]
        assert store.finish_many(node, [outcome(claim)]) == [True]

    def test_an_order_whose_answer_was_lost_is_reported_and_not_given_twice(
        self, way, namespace_url, make_store
    ):
        store = make_store(through(way, namespace_url))
        job_id = enqueue(store)
        assert store.cancel(["1-00000000"]) == [False]  # the server knows the script now
        way.lose_replies(1)
        with pytest.raises(StoreUnusable, match="did not answer"):
            store.cancel([job_id])
        assert store.cancel([job_id]) == [False]

    def test_a_change_of_a_schedule_whose_answer_was_lost_is_not_denied(
        self, way, namespace_url, make_store
    ):
        store = make_store(through(way, namespace_url))
        store.declare([schedule()])  # the server knows the script now
        Losing(store, "swap", way)
        with pytest.raises(StoreUnreachable):
            store.pause_schedule("s")
        assert store.schedules().schedules[0].paused
        with pytest.raises(StoreUnreachable):
            store.swap_schedule(schedule(every=5.0), expected=schedule())
        assert store.schedules().schedules[0].new == schedule(every=5.0)

    def test_an_interrupted_enqueue_wakes_who_sleeps_in_its_process(
        self, namespace_url, make_store, monkeypatch
    ):
        store = make_store(namespace_url)
        listener = store.listen("ready")
        while listener.wait(0.2) is not None:  # what the beginning of a subscription tells
            pass
        server = store._open().server
        run = server.run

        def interrupted(*request, **options):
            run(*request, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(server, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            enqueue(store)
        assert listener.wait(10) is not None
        listener.close()

    def test_a_listener_wakes_after_its_connection_broke(self, way, namespace_url, make_store):
        store = make_store(through(way, namespace_url))
        other = make_store(namespace_url)
        listener = store.listen("ready")
        way.break_all()
        assert listener.wait(10) is not None  # something may have been missed
        enqueue(other)
        assert listener.wait(10) is not None
        listener.close()


class TestServer:
    @pytest.mark.parametrize("keys", ["hello", "1,two", "\N{SUPERSCRIPT TWO}", "9" * 5_000])
    def test_a_listener_wakes_after_a_notice_that_somebody_else_has_sent(
        self, redis_url, namespace_url, make_store, keys
    ):
        store, other = make_store(namespace_url), make_store(namespace_url)
        listener = store.listen("ready")
        while listener.wait(0.1) is not None:
            pass
        with Redis.from_url(redis_url) as client:
            client.publish(f"{store._open().server.address.prefix}ready", f"somebody {keys}")
        assert listener.wait(10) == ANY_JOB
        enqueue(other)
        assert listener.wait(10) is not None
        listener.close()

    def test_a_flushed_script_cache_is_filled_again(self, make_server, make_store):
        server = make_server()
        store = make_store(server.url)
        first = enqueue(store)
        with Redis.from_url(server.url) as client:
            client.script_flush()
        assert enqueue(store) != first
        assert number_of(store) == 2

    def test_a_paused_server_is_waited_for(self, make_server, make_store):
        server = make_server()
        store = make_store(server.url)
        enqueue(store)
        with Redis.from_url(server.url) as client:
            client.client_pause(700)
        began = time.monotonic()
        enqueue(store)
        assert time.monotonic() - began > 0.3
        assert number_of(store) == 2

    def test_a_full_server_refuses_producers_and_lets_workers_make_room(
        self, make_server, make_store
    ):
        server = make_server()
        store = make_store(server.url)
        node = join(store)
        store.enqueue_many([new_job()] * 20)
        with Redis.from_url(server.url) as client:
            client.config_set("maxmemory", "1mb")
            before = number_of(store), client.dbsize()
            for _ in range(3):
                with pytest.raises(StoreUnusable, match="memory is full"):
                    store.enqueue_many([new_job(unique="k"), new_job(idempotency_key="k")])
            assert (number_of(store), client.dbsize()) == before
        assert store.renew(node, lease=LEASE) is not None
        claims = store.claim(node, [want(limit=10)])
        assert store.finish_many(node, [outcome(claim) for claim in claims]) == [True] * 10
        # So does a worker that starts only now, and a command.
        late = make_store(server.url)
        later = join(late)
        claims = late.claim(later, [want()])
        assert late.finish_many(later, [outcome(claim) for claim in claims]) == [True] * 10
        assert make_store(server.url).purge(completed_after=0, failed_after=0, limit=100) == 20

    def test_a_server_that_drops_keys_is_refused(self, make_server, make_store):
        server = make_server(**{"maxmemory-policy": "allkeys-lru"})
        with pytest.raises(StoreUnusable, match="allkeys-lru.*noeviction"):
            enqueue(make_store(server.url))
        (finding,) = make_store(server.url).examine()
        assert (finding.level, "allkeys-lru" in finding.says) == ("problem", True)

    def test_a_replica_is_refused(self, make_server, make_store):
        primary, replica = make_server(), make_server()
        store = make_store(replica.url)
        enqueue(store)
        with Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", primary.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(StoreUnusable, match="replica"):
            enqueue(store)
        with pytest.raises(StoreUnusable, match="replica"):
            enqueue(make_store(replica.url))

    def test_a_primary_that_became_a_replica_is_left_for_the_new_one(
        self, make_server, make_store, way
    ):
        old, new = (port_of(make_server().url) for _ in range(2))
        way.lead_to(old)
        store = make_store(f"redis://127.0.0.1:{way.port}/0")
        enqueue(store)
        with Redis(port=old) as client:
            client.replicaof("127.0.0.1", new)
        way.lead_to(new)
        job_id = enqueue(store)
        assert store.cancel([job_id]) == [True]
        assert [job.id for job in make_store(f"redis://127.0.0.1:{new}/0").jobs(JobFilter())] == [
            job_id
        ]

    def test_a_wrong_password_is_said_at_once_and_not_shown(self, make_server, make_store):
        server = make_server(requirepass="right")
        began = time.monotonic()
        for user in (":wrong@", ""):
            with pytest.raises(StoreUnusable, match="user or password") as refused:
                enqueue(make_store(server.url.replace("://", f"://{user}")))
            assert "wrong" not in str(refused.value)
        assert time.monotonic() - began < 5
        enqueue(make_store(server.url.replace("://", "://:right@")))

    def test_a_user_that_may_not_subscribe_looks_now_and_then(
        self, make_server, make_store, caplog
    ):
        server = make_server()
        with Redis.from_url(server.url) as client:
            client.acl_setuser(
                "worker", enabled=True, passwords=["+word"], keys=["*"], categories=["+@all"]
            )
        store = make_store(server.url.replace("://", "://worker:word@"))
        listener = store.listen("ready")
        enqueue(make_store(server.url))
        assert listener.wait(10) is not None
        enqueue(store)
        assert number_of(store) == 2
        assert ["&{mainspring}:*" in text for text in caplog.messages] == [True]
        listener.close()

    def test_a_server_that_is_not_there_is_named_within_the_timeout(self, make_server, make_store):
        server = make_server()
        server.kill()
        began = time.monotonic()
        with pytest.raises(StoreUnusable, match=r"127\.0\.0\.1.*did not answer"):
            enqueue(make_store(server.url, busy_timeout=0.5))
        assert time.monotonic() - began < 5

    def test_a_call_outlives_a_restart(self, make_server, make_store):
        server = make_server(**ON_DISK)
        store = make_store(server.url)
        first = enqueue(store)
        server.kill()
        restart = threading.Timer(0.3, server.start)
        restart.start()
        second = enqueue(store)
        restart.join()
        assert [job.id for job in store.jobs(JobFilter())] == [second, first]

    def test_after_a_failover_no_key_is_given_twice(self, make_server, make_store):
        server = make_server(save="")
        store = make_store(server.url)
        first = enqueue(store)
        with Redis.from_url(server.url) as client:
            client.set("{mainspring}:run_id", "of the one before")
        store.close()
        second = enqueue(store)
        assert int(second.partition("-")[0]) > int(first.partition("-")[0]) + 1000

    def test_after_a_failover_no_node_is_taken_for_another_that_holds_a_lock(
        self, redis_url, namespace_url, make_store
    ):
        """In a store that locks alone use there is no key of a job."""
        store = make_store(namespace_url)
        node = join(store)
        assert store.acquire(node, "lock")
        with Redis.from_url(f"{redis_url.rpartition('/')[0]}/1") as client:
            prefix = store._open().server.address.prefix
            client.set(f"{prefix}run_id", "of the one before")
            client.decr(f"{prefix}node_keys")  # what the failover has lost
        store.close()
        other = join(store)
        assert other != node
        assert store.acquire(other, "lock") is None

    def test_the_durability_is_told(self, make_server, make_store, caplog):
        weak, strong = make_server(), make_server(**ON_DISK)
        levels = {}
        for server in (weak, strong):
            store = make_store(server.url, durability="full")
            enqueue(store)
            found = {one.check: one for one in store.examine()}
            levels[server] = found["durability"].level
        assert levels == {weak: "warning", strong: "ok"}
        assert [weak.url in text for text in caplog.messages] == [True]


class TestPlaces:
    def test_a_unix_socket_with_a_database_is_a_store(self, make_server, make_store, tmp_path):
        make_server(unixsocket=str(tmp_path / "socket"))
        store = make_store(f"unix://{tmp_path / 'socket'}?db=3&namespace=mine")
        job_id = enqueue(store)
        assert store.get(job_id) is not None
        with Redis(unix_socket_path=str(tmp_path / "socket"), db=3) as client:
            assert {key.partition(b":")[0] for key in client.scan_iter()} == {b"{mine}"}

    def test_a_node_of_a_cluster_is_a_store(self, make_server, make_store):
        server = make_server(**{"cluster-enabled": "yes", "cluster-port": str(free_port())})
        with Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 10
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < deadline
                time.sleep(0.01)
        store = make_store(server.url)
        store.enqueue_many([new_job(unique="k", idempotency_key="i", expires=60.0), new_job()])
        node = join(store)
        claims = store.claim(node, [want()])
        assert store.finish_many(node, [outcome(claim) for claim in claims]) == [True, True]
        assert store.stats()["queue"]["completed"] == 2

    def test_two_namespaces_know_nothing_of_each_other(self, redis_url, make_store):
        here, there = (make_store(f"{redis_url}?namespace={name}") for name in ("here", "there"))
        job_id = enqueue(here, unique="k")
        enqueue(there, unique="k")
        assert there.get(job_id) is None
        assert here.run_dir != there.run_dir
        for store in (here, there):
            store.cancel([job.id for job in store.jobs(JobFilter())])

    def test_one_store_has_one_folder_of_locks_whatever_its_url(self, redis_url, make_store):
        one = make_store(f"{redis_url}?namespace=folder")
        other = make_store(f"{redis_url.replace('127.0.0.1', 'localhost')}?namespace=folder")
        assert one.run_dir == other.run_dir is not None

    def test_a_forked_child_has_connections_of_its_own(self, namespace_url, make_store):
        store = make_store(namespace_url)
        ids = [enqueue(store)]
        listener = store.listen("ended")
        child = os.fork()
        if not child:
            kept = store.enqueue_many([new_job(), new_job()])
            os._exit(0 if store.get(kept[1]) is not None else 1)
        ids.append(enqueue(store))
        assert os.waitpid(child, 0)[1] == 0
        ids.append(enqueue(store))
        store.cancel([ids[0]])
        assert listener.wait(10) is not None
        assert number_of(store) == 5
        listener.close()


class TestWorkers:
    @pytest.fixture
    def start(self, tmp_path, make_app, start_worker):
        """Make an app over a URL and return its queue, and how to start a worker of it."""

        def begin(url):
            return make_app(APP.format(url=url)), start_worker

        return begin

    def test_a_killed_worker_loses_nothing_and_its_jobs_run_again_within_two_seconds(
        self, tmp_path, namespace_url, start, eventually
    ):
        app, start_worker = start(namespace_url)
        start_worker()
        lost = start_worker()
        app.hold.map([(number,) for number in range(8)])
        eventually(lambda: len(diary(tmp_path)) == 8, within=30)
        lost.kill()
        killed = time.monotonic()
        survivor = eventually(lambda: [one.name for one in app.queue.nodes()], within=10)
        eventually(lambda: len(app.queue.nodes()) == 1, within=10)
        assert time.monotonic() - killed < 2 + 1
        assert len(survivor) <= 2
        (tmp_path / "go").touch()
        eventually(lambda: app.queue.stats()["completed"] == 8, within=30)
        ends = Counter(line for line in diary(tmp_path) if line.startswith("end"))
        assert set(ends.values()) == {1}

    def test_jobs_of_a_killed_worker_of_another_host_run_again_after_its_lease(
        self, tmp_path, namespace_url, start, eventually
    ):
        """Another host is one whose folder of locks this one does not see."""
        app, start_worker = start(namespace_url)
        for host in ("here", "there"):
            (tmp_path / host).mkdir()
        lost = start_worker(env={"LEASE": "2", "HOST": str(tmp_path / "there")})
        app.hold.map([(number,) for number in range(4)])
        eventually(lambda: len(diary(tmp_path)) == 4, within=30)
        start_worker(env={"LEASE": "2", "HOST": str(tmp_path / "here")})
        eventually(lambda: len(app.queue.nodes()) == 2, within=30)
        lost.kill()
        eventually(lambda: len(diary(tmp_path)) == 8, within=15)
        (tmp_path / "go").touch()
        eventually(lambda: app.queue.stats()["completed"] == 4, within=30)
        assert {job.crashes for job in app.queue._store.jobs(JobFilter())} == {1}

    def test_a_server_that_is_killed_and_restarted_loses_no_job(
        self, make_server, start, eventually
    ):
        server = make_server(**ON_DISK)
        app, start_worker = start(server.url)
        start_worker()
        handles = app.short.map([(number,) for number in range(400)])
        for done in (50, 150, 250):
            eventually(lambda done=done: app.queue.stats()["completed"] > done, within=60)
            server.kill()
            server.start()
        eventually(lambda: app.queue.stats()["completed"] == 400, within=60)
        assert {job.id for job in handles} == {
            job.id for job in app.queue._store.jobs(JobFilter(), limit=1000)
        }

    def test_killed_connections_are_opened_again(self, make_server, start, eventually):
        server = make_server()
        app, start_worker = start(server.url)
        worker = start_worker()
        app.short.map([(number,) for number in range(400)])
        with Redis.from_url(server.url) as client:
            for done in (20, 100, 180, 260):
                eventually(lambda done=done: app.queue.stats()["completed"] > done, within=60)
                client.client_kill_filter(_type="normal", skipme=True)
                client.client_kill_filter(_type="pubsub")
        eventually(lambda: app.queue.stats()["completed"] == 400, within=60)
        assert worker.process.poll() is None

    def test_a_worker_waits_for_a_server_that_is_not_there_yet(
        self, make_server, start, eventually
    ):
        server = make_server()
        app, start_worker = start(server.url)
        server.stop()
        worker = start_worker()
        eventually(lambda: "has not answered for" in worker.output(), within=60)
        assert worker.process.poll() is None
        server.start()
        app.short.delay(2)
        eventually(lambda: app.queue.stats()["completed"] == 1, within=60)

    def test_an_outage_is_two_lines_of_a_workers_log(self, make_server, start, eventually):
        server = make_server(**ON_DISK)
        app, start_worker = start(server.url)
        worker = start_worker(env={"LEASE": "60"})
        app.short.delay(1)
        eventually(lambda: app.queue.stats()["completed"] == 1, within=60)
        server.kill()
        eventually(lambda: "has not answered for" in worker.output(), within=30)
        server.start()
        eventually(lambda: "answers again, after" in worker.output(), within=30)
        app.short.delay(2)
        eventually(lambda: app.queue.stats()["completed"] == 2, within=60)
        logged = [one for one in worker.output().splitlines() if not one.startswith("[mainspring]")]
        assert ["has not answered" in one or "answers again" in one for one in logged] == [True] * 2
