"""Tests of users freeze the clock: its moments are arguments, and waits end all the same."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
import threading

import pytest
import time_machine
from freezegun import freeze_time

from histories import outcomes
from mainspring import Queue
from mainspring.errors import InvalidArguments
from mainspring.model.codec import JsonCodec

NOON = "2026-05-05 12:00"
FREEZERS = {
    "freezegun": lambda: freeze_time(NOON),
    "time-machine": lambda: time_machine.travel(f"{NOON}+00:00", tick=False),
    "time-machine, ticking": lambda: time_machine.travel(f"{NOON}+00:00"),
}


@pytest.fixture(params=FREEZERS.values(), ids=list(FREEZERS))
def frozen(request):
    """What freezes or moves the clock, for the length of a block."""
    return request.param


@pytest.fixture
def codec():
    return JsonCodec()


def test_moments_of_a_frozen_clock_are_stored_as_plain_ones(codec, frozen):
    with frozen():
        values = [dt.datetime.now(dt.UTC), dt.datetime.now(), dt.date.today()]  # noqa: DTZ005, DTZ011
        told = codec.encode_result(values)
    read = codec.decode_result(told)
    assert read == values
    assert read[2] == dt.date(2026, 5, 5)
    assert [type(value) for value in read] == [dt.datetime, dt.datetime, dt.date]


def test_a_worker_beside_a_frozen_clock_keeps_its_lease_and_runs_what_was_delayed(
    tmp_path, until, frozen
):
    queue = Queue(db_path=tmp_path / "jobs.db", workers=1, lease=1.0, heartbeat=0.2)
    same = queue.task(name="same")(lambda value: value)

    @queue.task(name="nap")
    async def nap(seconds):
        await asyncio.sleep(seconds)
        return seconds

    with queue.worker(), frozen():
        assert same.using(delay=0.3).delay(1).result(timeout=10) == 1
        assert nap.delay(0.05).result(timeout=10) == 0.05
        until(lambda: queue.nodes()[0].reported_at)
        [first] = queue.nodes()
        past_its_lease = first.reported_at + dt.timedelta(seconds=1.5)
        until(lambda: queue.nodes()[-1].reported_at > past_its_lease)
        assert [one.name for one in queue.nodes()] == [first.name]
        assert same.delay(2).result(timeout=10) == 2
    queue.close()


def test_an_ordinary_subclass_is_refused_as_before(codec):
    class Stamp(dt.datetime):
        nanosecond = 7

    with pytest.raises(InvalidArguments, match="Stamp"):
        codec.encode_call("task", (Stamp(2026, 5, 5),), {})


def test_a_worker_starts_and_takes_a_moment_of_a_frozen_clock(queue, frozen):
    task = queue.task(name="same")(lambda moment: moment)
    with frozen(), queue.worker():
        moment = dt.datetime.now(dt.UTC)
        assert task.delay(moment).result(timeout=10) == moment


def test_a_wait_for_a_result_ends_though_the_clock_stands_still(queue, gate, frozen):
    task = queue.task(name="wait")(gate.wait)
    ended = threading.Event()

    def wait(job):
        with pytest.raises(TimeoutError):
            job.result(timeout=0.05)
        ended.set()

    with queue.worker():
        with frozen():
            thread = threading.Thread(target=wait, args=(task.delay(),), daemon=True)
            thread.start()
            assert ended.wait(10)
        gate.set()


def test_run_at_counts_from_the_frozen_now(queue, frozen):
    task = queue.task(name="same")(lambda value: value)
    with queue.worker(), frozen():
        now = dt.datetime.now(dt.UTC)
        assert task.using(run_at=now).delay(1).result(timeout=10) == 1
        soon = task.using(run_at=now + dt.timedelta(seconds=0.3)).delay(2)
        late = task.using(run_at=now + dt.timedelta(hours=1)).delay(3)
        assert soon.result(timeout=10) == 2
    assert late.status == "pending"
    waits = (late.run_at - late.created_at).total_seconds()
    assert 3590 < waits <= 3600


def test_what_is_recorded_are_real_moments(queue, frozen):
    task = queue.task(name="same")(lambda value: value)
    before = dt.datetime.now(dt.UTC)
    with queue.worker(), frozen():
        job = task.delay(1)
        job.result(timeout=10)
        record = job.record
    assert before <= record.created_at <= record.completed_at <= dt.datetime.now(dt.UTC)


def test_a_clock_that_is_moved_and_moved_back_again_and_again_disturbs_nobody(queue, frozen):
    task = queue.task(name="same")(lambda value: value)
    with queue.worker():
        for number in range(5):
            with frozen():
                job = task.delay(number)
            assert job.result(timeout=10) == number
    assert set(outcomes(job)) == {"completed"}


FROZEN_FROM_THE_FIRST = """
import threading
from freezegun import freeze_time
with freeze_time("2026-05-05 12:00"):
    from mainspring import Queue
    queue = Queue(db_path="jobs.db", workers=1, heartbeat=0.05)
    same = queue.task(name="same")(lambda value: value)
    queue.every(3600)(queue.task(name="tick")(lambda: None))
    with queue.worker():
        job = same.delay(1)
        assert job.result(timeout=10) == 1
        for _ in range(1000):
            (node,) = queue.nodes()
            if node.reported_at is not None:
                break
            threading.Event().wait(0.01)
        (schedule,) = queue.schedules
        for moment in (node.reported_at, job.record.created_at):
            print(type(moment).__name__, node.unreadable)
"""


def test_what_is_loaded_beside_a_frozen_clock_reads_what_is_stored(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", FROZEN_FROM_THE_FIRST],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.returncode) == ("datetime ()\n" * 2, 0), ran.stderr
