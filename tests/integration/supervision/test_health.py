"""The health of a task supervisor tells of its workers what is true."""

import asyncio
import json
import threading

import pytest

from mainspring import Restart, background_worker
from mainspring.supervision.workers import worker as core


def of(supervisor, key):
    health = supervisor.health()
    json.dumps(health)
    return health["healthy"], health[key]


def listed(supervisor):
    return {one["name"]: one["state"] for one in supervisor.get_info()["workers"]}


@pytest.fixture
def gave_up(make, kind, of_kind, feed, until):
    """Return a worker that has given up."""

    def fail(*_, **__):
        raise ValueError("unplugged")

    def fed():
        if worker.is_active() and kind in ("queue", "event"):
            feed(worker)
        return worker.is_stopped()

    worker = make(fail, name="meter", restart=Restart(max_failures=1, within=30), **of_kind)
    worker.start()
    until(fed)
    return worker


def test_a_worker_that_gave_up_is_unhealthy_and_listed_until_it_is_stopped(gave_up, supervisor):
    assert of(supervisor, "failed_workers") == (False, ["meter"])
    assert listed(supervisor) == {"meter": "failed"}
    assert gave_up.stop()
    assert of(supervisor, "failed_workers") == (True, [])
    assert listed(supervisor) == {}


def test_a_worker_that_gave_up_is_healthy_once_it_is_started_again(gave_up, supervisor):
    gave_up.run = lambda *_, **__: None
    assert gave_up.start()
    assert of(supervisor, "failed_workers") == (True, [])
    assert gave_up.is_active()
    assert list(listed(supervisor)) == ["meter"]


def test_another_worker_of_its_name_takes_the_place_of_one_that_gave_up(gave_up, supervisor):
    other = background_worker(event=True, name="meter", supervisor=supervisor)(print)
    assert other.start()
    assert of(supervisor, "failed_workers") == (True, [])
    assert gave_up.stop()  # drops nothing of the other's
    assert list(listed(supervisor)) == ["meter"]
    assert other.is_active()


def test_a_supervisor_that_is_stopped_and_started_knows_no_failed_workers(gave_up, supervisor):
    supervisor.stop()
    supervisor.start()
    assert of(supervisor, "failed_workers") == (True, [])
    assert gave_up.status().state == "failed"


@pytest.mark.parametrize("pace", [{"interval": 0.01}, {"cron": "* * * * * *"}])
def test_a_run_that_hangs_past_its_interval_is_unhealthy_until_it_ends(
    make, supervisor, until, monkeypatch, pace
):
    monkeypatch.setattr(core, "HANGS_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(core, "HANGS_AFTER_INTERVALS", 0.05)
    gate = threading.Event()

    def hang(**_):
        gate.wait(20)

    worker = background_worker(supervisor=supervisor, name="slow", **pace)(hang)
    worker.start()
    if "cron" in pace:
        worker.trigger_threadsafe()
    until(lambda: of(supervisor, "hanging_workers") == (False, ["slow"]))
    assert supervisor.get_info()["workers"][0]["hanging"]
    gate.set()
    until(lambda: of(supervisor, "hanging_workers") == (True, []))


def test_a_run_may_take_some_seconds_and_some_intervals(supervisor, until):
    worker = background_worker(interval=60, supervisor=supervisor)(lambda **_: None)
    worker.start()
    until(lambda: worker.status().runs == 1)
    counts = worker._worker_run.core.counts
    worker.stop()
    core_worker = worker._worker_run.core
    core_worker.running = True
    for interval, seconds, hangs in [(0.01, 4, False), (0.01, 6, True), (60, 170, False)]:
        core_worker.trigger.interval = interval
        counts.last_run -= seconds
        assert core_worker.hangs() is hangs
        counts.last_run += seconds
    core_worker.running = False


@pytest.mark.parametrize("options", [{}, {"event": True}, {"queue": True}, {"delay": 0.01}])
def test_a_worker_without_an_interval_may_run_as_long_as_it_likes(
    supervisor, until, monkeypatch, options
):
    monkeypatch.setattr(core, "HANGS_AFTER_SECONDS", 0.0)
    gate, began = threading.Event(), threading.Event()

    def work(*_, **__):
        began.set()
        gate.wait(20)

    worker = background_worker(supervisor=supervisor, **options)(work)
    worker.start()
    if "event" in options:
        worker.trigger_threadsafe()
    if "queue" in options:
        worker.put_threadsafe(1)
    assert began.wait(10)
    assert of(supervisor, "hanging_workers") == (True, [])
    gate.set()


def test_a_worker_that_has_lost_its_loop_is_unhealthy_and_its_failure_is_told(
    supervisor, until, auntil
):
    told = []
    supervisor.on_worker_failed = lambda worker, error: told.append((worker, str(error)))
    runs = []

    async def target():
        runs.append(1)

    async def live():
        loop = asyncio.get_running_loop()
        worker = background_worker(interval=0.01, loop=loop, name="w", supervisor=supervisor)(
            target
        )
        worker.start()
        await auntil(lambda: runs)
        return worker

    worker = asyncio.run(live())
    until(lambda: of(supervisor, "failed_workers") == (False, ["w"]))
    until(lambda: told)
    assert told[0][0] is worker
    assert "loop" in told[0][1]
    assert "loop" in supervisor.get_info()["workers"][0]["error"]


def test_a_worker_whose_last_run_raised_is_named_and_healthy(supervisor, until):
    def fail(**_):
        raise ValueError("unplugged")

    worker = background_worker(interval=0.01, name="meter", supervisor=supervisor)(fail)
    worker.start()
    until(lambda: of(supervisor, "failing_workers") == (True, ["meter"]))
