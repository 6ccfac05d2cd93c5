"""Tests as the authors of the program would write them."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest
import shop

from mainspring import JobExpired, JobFailed, JobState
from mainspring.errors import NotRunning


@pytest.mark.parametrize("order", range(10))
def test_what_was_enqueued_runs(t, order):
    shop.place_order(order)
    t.assert_enqueued(shop.charge, order)
    t.assert_not_enqueued(shop.pay)
    assert t.run() == 2
    assert shop.outbox == [f"receipt {order}"]
    t.assert_enqueued(shop.send_receipt, order, times=1)
    t.assert_enqueued(shop.send_receipt, order, copy=True, delay=timedelta(days=1))
    t.run(days=1)
    assert f"receipt {order} copy" in shop.outbox


@pytest.mark.parametrize("fails", range(4))
def test_a_retry_waits_for_the_clock(t, fails):
    shop.failures += [1] * fails
    job = shop.charge.delay(1)
    t.run(suppress=ConnectionError)
    for attempt in range(fails):
        assert t.jobs(task=shop.charge)[0].attempts == attempt + 1
        t.advance(seconds=2**attempt)
        t.run(suppress=ConnectionError)
    assert job.result() == fails + 1


def test_the_last_error_is_raised_as_it_was(t):
    shop.failures += [1] * 4
    shop.charge.delay(7)
    with pytest.raises(ConnectionError, match="order 7, attempt 4") as caught:
        t.run(hours=1)
    assert caught.traceback[-1].name == "charge"
    failed = t.jobs(task=shop.charge)[0]
    assert (failed.status, failed.attempts) == ("failed", 4)
    assert failed.error is caught.value
    with pytest.raises(JobFailed, match="attempt 4") as seen:
        failed.handle.result()
    assert isinstance(seen.value.__cause__, ConnectionError)


@pytest.mark.parametrize("order", range(5))
def test_an_error_that_is_expected_is_not_raised(t, order):
    shop.pay.delay(order)
    t.run(suppress=shop.Declined)
    assert t.last.attempts == 1
    assert isinstance(t.last.error, shop.Declined)


def test_who_gives_up_is_not_tried_again(t):
    shop.give_up.delay(1)
    with pytest.raises(Exception, match="never again"):
        t.run()
    assert t.run(hours=1) >= 0
    assert t.jobs(task=shop.give_up)[0].attempts == 1


def test_polling_waits_as_long_as_it_says(t):
    shop.poll.delay(1)
    t.run()
    assert t.last.delay == 30
    t.run(seconds=29)
    assert t.last.attempts == 1
    shop.outbox.append("there")
    t.run(seconds=1)
    assert t.last.result == "there"


def test_a_snooze_charges_no_attempt(t):
    shop.nap.delay(1)
    t.run(minutes=3)
    assert t.jobs(task=shop.nap)[0].attempts == 0
    shop.outbox.append("there")
    t.run(minutes=1)
    assert t.jobs(task=shop.nap)[0].status == "completed"


@pytest.mark.parametrize("minutes", [0, 2])
def test_an_offer_expires(t, minutes):
    job = shop.offer.delay(1)
    t.advance(minutes=minutes)
    t.run()
    assert shop.outbox == ([] if minutes else ["offer 1"])
    if minutes:
        with pytest.raises(JobExpired):
            job.result()


@pytest.mark.parametrize("order", range(5))
def test_a_unique_job_is_there_once(t, order):
    first, second = shop.index.delay(order), shop.index.delay(order)
    assert first == second
    t.assert_enqueued(shop.index, order, times=1)
    t.run()
    assert shop.index.delay(order) != first


def test_an_idempotency_key_holds_for_a_day(t):
    keyed = shop.send_receipt.using(idempotency_key="k")
    assert keyed.delay(1) == keyed.delay(2)
    t.advance(hours=25)
    t.assert_enqueued(shop.send_receipt, times=1)
    keyed.delay(3)
    t.assert_enqueued(shop.send_receipt, times=2)


def test_priority_comes_first(t):
    for name, priority in (("late", 9), ("early", -1), ("middle", 5)):
        shop.resize.using(priority=priority).delay(name)
    t.run()
    assert t.last.result == "LATE"
    assert [job.args[0] for job in t.jobs(queue="images")] == ["late", "early", "middle"]


@pytest.mark.parametrize("hours", [6, 12, 24])
def test_schedules_tick_once_for_each_of_their_moments(t, hours):
    t.advance(hours=hours)
    assert len(t.jobs(task=shop.report)) == hours // 2
    assert len(t.jobs(task=shop.sweep)) == hours // 6
    assert t.run() == hours // 2 + hours // 6


def test_schedules_run_as_time_goes_by(t):
    t.run(hours=6)
    assert shop.outbox.count("report") == 3
    assert shop.queue.schedules["sweep"].last_tick == t.jobs(task=shop.sweep)[-1].run_at


@pytest.mark.parametrize("seconds", [1, 4, 4.9])
def test_a_coroutine_sleeps_on_the_clock_of_the_test(t, seconds):
    before = t.now
    shop.fetch.delay(seconds)
    t.run()
    assert t.last.result == seconds
    assert (t.now - before).total_seconds() == pytest.approx(seconds, abs=1e-5)


def test_a_coroutine_times_out_by_the_clock_of_the_test(t):
    shop.fetch.delay(3600)
    with pytest.raises(TimeoutError, match="its timeout of 5 s"):
        t.run(minutes=5)
    assert t.jobs(task=shop.fetch)[0].attempts == 4


@pytest.mark.parametrize("seconds", [0, 6])
def test_a_thread_that_took_too_long_is_told_of(t, seconds, monkeypatch):
    monkeypatch.setattr(shop, "advance", [t.advance])
    shop.crunch.delay(seconds)
    t.run(suppress=TimeoutError)
    assert t.last.status == ("failed" if seconds else "completed")


@pytest.mark.parametrize("task", [shop.fetch_all, shop.batch])
def test_a_body_that_waits_has_the_other_job_run(t, task):
    task.delay([1, 2])
    t.run()
    assert t.jobs(task=task)[0].result == ["receipt 1", "receipt 2"]


def test_a_process_task_runs_in_this_process(t, monkeypatch):
    monkeypatch.setenv("SHOP_TEST", str(os.getpid()))
    shop.render.delay(2)
    t.run()
    assert t.last.result == (4, True)
    assert (t.last.log, t.last.message) == (["page 2"], "half")


def test_a_process_task_runs_in_a_child_that_can_not_reach_the_real_store():
    with shop.queue.testing(processes=True) as t:
        shop.render.delay(2)
        shop.render_and_send.delay(1)
        with pytest.raises(JobFailed, match="the store of a test is in the test's own process"):
            t.run()
        rendered = t.jobs(task=shop.render)[0]
        assert rendered.result == (4, False)
        assert (rendered.log, rendered.message) == (["page 2"], "half")


@pytest.fixture
def conn():
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE orders (number INTEGER)")
    conn.execute("BEGIN")
    yield conn
    conn.execute("ROLLBACK")
    conn.close()


@pytest.mark.parametrize("order", range(5))
def test_a_job_in_a_transaction_counts_before_the_commit(t, conn, order):
    shop.save_order(conn, order)
    t.assert_enqueued(shop.send_receipt, order)
    t.run()
    assert shop.outbox == [f"receipt {order}"]


@pytest.mark.parametrize("order", range(-5, 0))
def test_a_job_of_what_was_rolled_back_is_gone(t, conn, order):
    conn.execute("SAVEPOINT request")
    with pytest.raises(ValueError, match="below zero"):
        shop.save_order(conn, order)
    t.assert_enqueued(shop.send_receipt, order)
    conn.execute("ROLLBACK TO request")
    t.assert_not_enqueued(shop.send_receipt)
    assert t.run() == 0


@pytest.mark.parametrize("number", range(5))
def test_eager_jobs_run_at_once(number):
    with shop.queue.testing(eager=True) as t:
        shop.failures += [1, 1]
        assert shop.charge.delay(number).result() == 3
        assert shop.outbox == [f"receipt {number}"]
        assert t.jobs(status=JobState.PENDING) == []


def test_blocks_nest(t):
    shop.send_receipt.delay(1)
    with shop.queue.testing() as inner:
        inner.assert_not_enqueued(shop.send_receipt)
        shop.send_receipt.delay(2)
        inner.run()
    t.assert_enqueued(shop.send_receipt, 1, times=1)
    t.run()
    assert shop.outbox == ["receipt 2", "receipt 1"]


def test_who_forgets_to_run_is_told_at_once(t):
    with pytest.raises(NotRunning, match=r"has not run, and no worker will: call run\(\)"):
        shop.send_receipt.delay(1).result()
    with pytest.raises(NotRunning, match=r"is not due before 60 s .*: call run\(seconds=60\)"):
        shop.send_receipt.using(delay=60).delay(1).result()


def test_an_assertion_says_what_was_enqueued_instead(t):
    shop.resize.delay("a.png")
    with pytest.raises(AssertionError, match=r"resize\('b.png'\) was not enqueued") as caught:
        t.assert_enqueued(shop.resize, "b.png")
    assert "resize('a.png') in queue 'images'" in str(caught.value)
    with pytest.raises(AssertionError, match="was enqueued once, not 2 times"):
        t.assert_enqueued(shop.resize, times=2)
    with pytest.raises(AssertionError, match="was enqueued once"):
        t.assert_not_enqueued(shop.resize, ANY)


def test_a_moment_to_run_at_is_meant_from_now(t):
    shop.resize.using(run_at=datetime.now(UTC) + timedelta(hours=1)).delay("a")
    t.assert_enqueued(shop.resize, delay=3600)


def test_a_cancelled_job_does_not_run(t):
    job = shop.long_body.delay(3)
    assert job.cancel()
    assert t.run() == 0
    assert t.jobs()[0].status == "cancelled"


@pytest.mark.parametrize("pages", range(1, 6))
def test_what_a_body_says_can_be_looked_at(t, pages):
    shop.long_body.delay(pages)
    t.run()
    assert t.last.log == [f"page {page}" for page in range(pages)]
    assert t.last.message == f"page {pages - 1}"
    assert t.last.handle.log[0].at == t.now


def test_a_handle_is_good_after_the_block():
    with shop.queue.testing() as t:
        job = shop.send_receipt.delay(3)
        t.run()
    assert job.result() == "receipt 3"


@pytest.mark.parametrize("order", range(3))
def test_a_real_worker_runs_jobs_in_its_own_time(mainspring_worker, order):
    assert mainspring_worker is shop.queue
    assert shop.send_receipt.delay(order).result(10) == f"receipt {order}"
