"""Tests of the standard library's kind."""

from __future__ import annotations

import unittest

import shop

from mainspring import JobCancelled
from mainspring.testing import fake_job


class OrderTest(unittest.TestCase):
    def setUp(self) -> None:
        self.t = self.enterContext(shop.queue.testing())

    def test_an_order_is_charged(self) -> None:
        shop.place_order(1)
        self.t.run()
        self.t.assert_enqueued(shop.charge, 1)
        assert shop.outbox == ["receipt 1"]

    def test_nothing_is_left_of_the_test_before(self) -> None:
        self.t.assert_not_enqueued(shop.charge)


class AsyncOrderTest(unittest.IsolatedAsyncioTestCase):
    async def test_an_order_is_charged(self) -> None:
        async with shop.queue.testing() as t:
            await shop.charge.adelay(1)
            await t.arun()
            assert shop.outbox == ["receipt 1"]


class BodyTest(unittest.TestCase):
    def test_a_body_is_called_by_hand(self) -> None:
        with fake_job(attempt=2) as job:
            assert shop.long_body(2) == 2
        assert (job.progress, job.message) == (0.5, "page 1")
        assert job.log == ["page 0", "page 1"]

    def test_a_body_is_cancelled(self) -> None:
        with fake_job(cancelled=True), self.assertRaises(JobCancelled):  # noqa: PT027  # no pytest here
            shop.long_body(2)
