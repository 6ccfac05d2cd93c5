"""Tests of users freeze the clock: its moments are arguments, and waits end all the same."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time

import pytest
from freezegun import freeze_time

from mainspring import Queue
from mainspring.errors import InvalidArguments
from mainspring.model.codec import JsonCodec

NOON = "2026-05-05 12:00"


@pytest.fixture
def codec():
    return JsonCodec()


def test_moments_of_a_frozen_clock_are_stored_as_plain_ones(codec):
    with freeze_time(NOON):
        values = [dt.datetime.now(dt.UTC), dt.datetime.now(), dt.date.today()]  # noqa: DTZ005, DTZ011
        told = codec.encode_result(values)
    read = codec.decode_result(told)
    moment = dt.datetime(2026, 5, 5, 12, tzinfo=dt.UTC)
    assert read == [moment, moment.replace(tzinfo=None), moment.date()]
    assert [type(value) for value in read] == [dt.datetime, dt.datetime, dt.date]


def test_a_worker_beside_a_frozen_clock_keeps_its_lease_and_runs_what_was_delayed(tmp_path, until):
    queue = Queue(db_path=tmp_path / "jobs.db", workers=1, lease=1.0, heartbeat=0.2)
    same = queue.task(name="same")(lambda value: value)

    @queue.task(name="nap")
    async def nap(seconds):
        await asyncio.sleep(seconds)
        return seconds

    with queue.worker(), freeze_time(NOON):
        assert same.using(delay=0.3).delay(1).result(timeout=10) == 1
        assert nap.delay(0.05).result(timeout=10) == 0.05
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


def test_a_worker_starts_and_takes_a_moment_of_a_frozen_clock(queue):
    task = queue.task(name="same")(lambda moment: moment)
    with freeze_time(NOON), queue.worker():
        moment = dt.datetime.now(dt.UTC)
        assert task.delay(moment).result(timeout=10) == moment


def test_a_wait_for_a_result_ends_though_the_clock_stands_still(queue, gate):
    task = queue.task(name="wait")(gate.wait)
    ended = threading.Event()

    def wait(job):
        with pytest.raises(TimeoutError):
            job.result(timeout=0.05)
        ended.set()

    with queue.worker():
        with freeze_time(NOON):
            assert time.monotonic() == time.monotonic()
            thread = threading.Thread(target=wait, args=(task.delay(),), daemon=True)
            thread.start()
            assert ended.wait(10)
        gate.set()
