"""`/metrics`, `/livez` and `/readyz` of a worker, as Prometheus and Kubernetes ask for them."""

from __future__ import annotations

import logging
import pkgutil
import re
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import REGISTRY, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import Collector

from mainspring import JobFailed, Queue, Retry, Snooze
from mainspring.cli.main import main
from mainspring.errors import InvalidOption, MissingExtra, StoreUnreachable
from mainspring.model.events import NodeLost, NodeRescued, OrphansRescued, OutcomesRefused
from mainspring.telemetry.metrics import serving
from mainspring.telemetry.metrics.server import MetricsServer

JOBS = "mainspring_jobs_total"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def queue():
    made = Queue("memory://", workers=2, grace=1, heartbeat=0.05)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(serving, "READ_SECONDS", 0.02)


@pytest.fixture
def measured(caplog):
    """Run a worker with metrics in the block, which is given the address of its pages."""

    @contextmanager
    def run(queue, **options):
        with caplog.at_level(logging.INFO, "mainspring.worker"):
            caplog.clear()
            with queue.worker(metrics_port=0, **options):
                yield address_in(caplog.text)

    return run


def address_in(text):
    return re.search(r"at (http\S+)/metrics", text)[1]


def get(address, path="/metrics", *, accept="", method="GET"):
    """Return status, content type and text of a page."""
    asked = urllib.request.Request(address + path, headers={"Accept": accept}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def samples(address):
    """Return the value of each sample by its name and labels."""
    found = defaultdict(dict)
    for family in parse(get(address)[2]):
        for one in family.samples:
            found[one.name][tuple(sorted(one.labels.items()))] = one.value
    return found


def of(samples, name, **labels):
    return samples[name].get(tuple(sorted(labels.items())))


def test_attempts_are_counted_by_outcome_and_their_times_observed(queue, measured, eventually):
    ways = [Snooze(0), Retry(delay=0), ValueError("no")]

    @queue.task(name="various", retries=1, backoff=[0])
    def various():
        raise ways.pop(0)

    @queue.task(name="fine", queue="mail")
    async def fine():
        return 1

    with measured(queue) as address:
        assert fine.delay().result(timeout=10) == 1
        with pytest.raises(JobFailed):
            various.delay().result(timeout=10)
        # Who waits for a job may learn of its end before it is counted.
        failed = {"outcome": "failed", "queue": "default", "task": "various"}
        done = {"outcome": "completed", "queue": "mail", "task": "fine"}
        for labels in (failed, done):
            eventually(lambda of_one=labels: of(samples(address), JOBS, **of_one) == 1)
        seen = samples(address)
    mail, default = ({"queue": "mail", "task": "fine"}, {"queue": "default", "task": "various"})
    for outcome in ("snoozed", "retried"):
        assert of(seen, JOBS, outcome=outcome, **default) == 1
    assert of(seen, "mainspring_job_run_seconds_count", **default) == 3
    assert of(seen, "mainspring_job_wait_seconds_count", **default) == 3
    assert of(seen, "mainspring_job_wait_seconds_bucket", le="3600.0", **mail) == 1


def test_the_clients_own_parsers_accept_the_page(queue, measured):
    with measured(queue) as address:
        _, kind, text = get(address)
        assert kind.startswith("text/plain; version=")
        assert [*parse(text)]
        _, kind, text = get(address, accept=OPEN_METRICS)
        assert kind.startswith("application/openmetrics-text")
        assert [*parse_open(text)]


def test_slots_versions_and_the_programs_own_metrics_are_there(queue, measured, gate, eventually):
    own = Counter("shop_orders", "Orders of this test.")
    queue.task(name="waits")(lambda: gate.wait(30)).delay()
    try:
        with measured(queue) as address:
            own.inc(3)
            eventually(lambda: of(samples(address), "mainspring_slots_busy", kind="thread") == 1)
            seen = samples(address)
            gate.set()
    finally:
        REGISTRY.unregister(own)
    assert of(seen, "mainspring_slots", kind="thread") == 2
    assert of(seen, "mainspring_in_flight_jobs") == 1
    assert len(seen["mainspring_build_info"]) == 1
    assert of(seen, "shop_orders_total") == 3


def test_the_store_is_told_of_by_one_worker_until_it_ends(tmp_path, measured, eventually):
    queues = [Queue(db_path=tmp_path / "jobs.db", workers=1, heartbeat=0.05) for _ in range(2)]
    first, second = queues
    first.task(name="later")(print).using(queue="mail", delay=100).delay()
    first.pause("mail")
    first.every(3600, name="hourly")(first.get_task("later"))

    def tells(address):
        return "mainspring_queue_jobs" in samples(address)

    with ExitStack() as both:
        first_ends = ExitStack()
        one = first_ends.enter_context(measured(first))
        eventually(lambda: tells(one))
        other = both.enter_context(measured(second))
        eventually(lambda: of(samples(one), "mainspring_nodes") == 2)
        assert not tells(other)
        seen = samples(one)
        first_ends.close()
        eventually(lambda: tells(other))
    assert of(seen, "mainspring_queue_jobs", queue="mail", state="scheduled") == 1
    assert of(seen, "mainspring_queue_paused", queue="mail") == 1
    assert of(seen, "mainspring_queue_oldest_ready_seconds", queue="mail") == 0
    assert of(seen, "mainspring_schedule_lag_seconds", schedule="hourly") == 0
    for queue in queues:
        queue.close()


def test_a_store_that_does_not_answer_costs_readiness_and_nothing_else(
    queue, measured, eventually, monkeypatch
):
    with measured(queue) as address:
        eventually(lambda: get(address, "/readyz")[0] == 200)

        def unreachable(*_, **__):
            raise StoreUnreachable("memory://", "it is gone", "wait")

        monkeypatch.setattr(queue._store, "renew", unreachable)
        monkeypatch.setattr(queue._store, "nodes", unreachable)
        eventually(lambda: get(address, "/readyz")[0] == 503)
        assert "the store has not answered for" in get(address, "/readyz")[2]
        assert get(address, "/livez") == (200, "text/plain; charset=utf-8", "ok\n")
        eventually(lambda: "mainspring_queue_jobs" not in samples(address))
        assert of(samples(address), "mainspring_store_up") == 0
        monkeypatch.undo()
        eventually(lambda: get(address, "/readyz")[0] == 200)


def test_a_worker_that_waits_for_its_store_is_alive_and_not_ready(
    queue, measured, eventually, monkeypatch, caplog
):
    def unreachable(*_, **__):
        raise StoreUnreachable("memory://", "it is gone", "wait")

    with caplog.at_level(logging.INFO, "mainspring.worker"):
        monkeypatch.setattr(queue._store, "join", unreachable)
        thread = threading.Thread(target=queue.run_worker, kwargs={"metrics_port": 0})
        thread.start()
        address = eventually(lambda: "/metrics" in caplog.text and address_in(caplog.text))
        assert get(address, "/livez")[0] == 200
        assert get(address, "/readyz")[2] == "it has not joined the store yet\n"
        assert of(samples(address), "mainspring_store_up") == 0
        queue.shutdown()
        thread.join(10)
    assert not thread.is_alive()


def test_a_worker_that_drains_is_alive_and_not_ready(queue, measured, gate, eventually):
    queue.task(name="waits")(lambda: gate.wait(30)).delay()
    with measured(queue, grace=30) as address:
        eventually(lambda: of(samples(address), "mainspring_in_flight_jobs") == 1)
        queue.shutdown(at_once=False)
        assert "it drains" in eventually(lambda: get(address, "/readyz"))[2]
        assert get(address, "/livez")[0] == 200
        assert of(samples(address), "mainspring_draining") == 1
        gate.set()


def test_a_blocked_loop_costs_life(queue, measured, gate, eventually, monkeypatch):
    monkeypatch.setattr("mainspring.engine.vitals.STUCK_SECONDS", 0.05)

    @queue.task(name="blocks")
    async def blocks():
        gate.wait(30)

    with measured(queue) as address:
        assert get(address, "/livez")[0] == 200
        blocks.delay()
        eventually(lambda: get(address, "/livez")[0] == 503)
        assert "the loop of the coroutines has been blocked" in get(address, "/livez")[2]
        gate.set()


@pytest.mark.parametrize(
    "place",
    [
        "mainspring.engine.claims.exchange.Exchange.turn",
        "mainspring.engine.claims.exchange.Exchange.due",
        "mainspring.engine.node.heartbeat.Heartbeat.beat",
        "mainspring.engine.scheduler.Scheduler.turn",
    ],
)
def test_a_thread_of_the_engine_that_hangs_costs_life(
    place, queue, measured, eventually, monkeypatch
):
    monkeypatch.setattr("mainspring.engine.vitals.STUCK_SECONDS", 0.2)
    hangs, free = threading.Event(), threading.Event()
    owner = pkgutil.resolve_name(place.rpartition(".")[0])
    method = place.rpartition(".")[2]
    real = getattr(owner, method)

    def hanging(self, *given):
        if hangs.is_set():
            assert free.wait(30)
        return real(self, *given)

    monkeypatch.setattr(owner, method, hanging)
    every_hour = queue.task(name="t")(lambda: None)
    queue.every(3600, name="hourly")(every_hour)
    with measured(queue) as address:
        try:
            # Idle for longer than a turn may last, and alive: it is woken to look.
            assert [get(address, "/livez")[0] for _ in range(3)] == [200] * 3
            hangs.set()
            every_hour.delay()
            queue.schedules.add("later", every_hour, every=60)
            said = eventually(lambda: (got := get(address, "/livez"))[0] == 503 and got[2])
            assert "has not turned for" in said
        finally:
            free.set()
        eventually(lambda: get(address, "/livez")[0] == 200)


def test_other_pages_and_methods_are_answered_plainly(queue, measured):
    with measured(queue) as address:
        assert get(address, "/nothing")[0] == 404
        assert get(address, "/livez?verbose=1")[0] == 200
        assert get(address, "/livez", method="HEAD")[::2] == (200, "")
        assert get(address, "/metrics", method="POST")[0] == 501


class BrokenCollector(Collector):
    def collect(self):
        raise ValueError("no such gauge")

    def describe(self):
        return []


@pytest.fixture
def broken_collector():
    collector = BrokenCollector()
    REGISTRY.register(collector)
    yield
    REGISTRY.unregister(collector)


def test_a_client_that_goes_away_leaves_no_line_and_a_broken_collector_one(
    queue, measured, broken_collector, eventually, caplog, capfd
):
    handled = []
    handle_error = MetricsServer.handle_error

    def watched(self, request, client_address):
        handle_error(self, request, client_address)
        handled.append(client_address)

    with measured(queue) as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetricsServer, "handle_error", watched)
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            reset = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        eventually(lambda: len(handled) == 1)
        with pytest.raises(OSError, match="closed"):
            get(address)
        eventually(lambda: len(handled) == 2)
        errors = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert [str(one.exc_info[1]) for one in errors] == ["no such gauge"]
    assert capfd.readouterr().err == ""


def test_what_befalls_nodes_is_counted():
    registry = serving.CollectorRegistry()
    observe = serving.WorkerInstruments(registry)
    for event in (
        NodeLost("n"),
        NodeRescued("n", 3, 1),
        OrphansRescued(2, 0),
        OutcomesRefused(("one", "two")),
        "of no interest",
    ):
        observe(event)
    value = registry.get_sample_value
    assert value("mainspring_leases_lost_total") == 1
    assert value("mainspring_nodes_rescued_total") == 1
    assert value("mainspring_jobs_rescued_total", {"fate": "requeued"}) == 5
    assert value("mainspring_jobs_rescued_total", {"fate": "failed"}) == 1
    assert value("mainspring_outcomes_refused_total") == 2


def test_failures_of_parts_and_rescues_are_counted_from_zero(queue, measured):
    with measured(queue) as address:
        found = samples(address)
    assert of(found, "mainspring_service_failures_total", service="heartbeat") == 0
    assert of(found, "mainspring_jobs_rescued_total", fate="requeued") == 0
    assert of(found, "mainspring_jobs_rescued_total", fate="failed") == 0


def test_a_port_in_use_is_one_clear_line(queue):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidOption, match=rf"metrics_port={port} can't be listened on"),
            queue.worker(metrics_port=port),
        ):
            pass


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command_says_it_once_too(make_app, tmp_path, processes):
    make_app("from mainspring import Queue\n\nqueue = Queue('memory://')\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] + 1 - int(processes)
        command = [sys.executable, "-m", "mainspring", "worker", "--app", "app:queue"]
        done = subprocess.run(
            [*command, "--metrics-port", str(port), "--processes", processes],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--metrics-port" in done.stderr


def test_a_host_without_a_port_would_do_nothing(capsys):
    assert main(["worker", "--app", "app:queue", "--metrics-host", "0.0.0.0"]) == 2
    assert "give --metrics-port, too" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [{"metrics_port": 70_000}, {"metrics_port": "9"}, {"metrics_host": ""}]
)
def test_options_that_make_no_sense_are_refused(queue, options):
    with pytest.raises(InvalidOption, match=next(iter(options))), queue.worker(**options):
        pass


def test_without_the_extra_it_says_what_to_install(queue, monkeypatch):
    for name in [one for one in sys.modules if "prometheus_client" in one or ".metrics." in one]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with (
        pytest.raises(MissingExtra, match=r"pip install 'mainspring\[metrics\]'"),
        queue.worker(metrics_port=0),
    ):
        pass
