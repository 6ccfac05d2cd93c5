"""Tests that set the time themselves: jobs go by it, and it by nothing of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import shop
import time_machine
from freezegun import freeze_time

MOMENT = datetime(2020, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("days", range(1, 6))
def test_the_clock_of_freezegun_is_followed(days):
    with freeze_time(MOMENT) as frozen, shop.queue.testing() as t:
        assert t.now == MOMENT
        job = shop.send_receipt.using(run_at=MOMENT + timedelta(days=days)).delay(1)
        assert t.run() == 0
        frozen.tick(timedelta(days=days))
        assert t.now == MOMENT + timedelta(days=days)
        t.run()
        assert job.result() == "receipt 1"
        assert job.completed_at == t.now


@pytest.mark.parametrize("days", range(1, 6))
def test_the_clock_of_time_machine_is_followed(days):
    with time_machine.travel(MOMENT, tick=False) as traveller, shop.queue.testing() as t:
        assert t.now == MOMENT
        job = shop.send_receipt.using(run_at=MOMENT + timedelta(days=days)).delay(1)
        assert t.run() == 0
        traveller.shift(timedelta(days=days))
        t.run()
        assert job.result() == "receipt 1"


def test_the_clock_of_the_test_is_moved_beside_a_frozen_one():
    with freeze_time(MOMENT), shop.queue.testing() as t:
        shop.failures += [1, 1]
        shop.charge.delay(1)
        shop.fetch.delay(3)
        t.run(minutes=1)
        assert t.now >= MOMENT + timedelta(minutes=1)
        assert t.jobs(task=shop.charge)[0].result == 3
