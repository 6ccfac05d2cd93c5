"""A job in the caller's hand, over a store: its fields, cancel, retry, and what `result` raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from histories import attempts, outcomes
from mainspring import Fixed, JobHandle, PickleCodec, current_job
from mainspring.errors import (
    InvalidArguments,
    InvalidOption,
    JobCancelled,
    JobFailed,
    NotRetryable,
)
from mainspring.model.job import JobState, NewJob, Want
from mainspring.model.note import Note
from mainspring.queue.job_handle import RemoteError


def running(queue, task="add"):
    """Claim the next job of a task for a node that does nothing with it."""
    node = queue._store.join("n", host="h", pid=1, lease=60)
    (claim,) = queue._store.claim(node, [Want((task,), None, 1)])
    return claim


class TestFields:
    def test_a_record_is_of_one_moment(self, queue, add, monkeypatch):
        job = add.using(queue="q", priority=4).delay(1, b=3)
        reads = []
        get = queue._store.get
        monkeypatch.setattr(queue._store, "get", lambda job_id: reads.append(1) or get(job_id))
        record = job.record
        assert len(reads) == 1
        for field in ("id", "task", "queue", "priority", "created_at", "run_at", "started_at"):
            assert getattr(job, field) == getattr(record, field)
        assert job.status == record.state == JobState.PENDING

    def test_progress_message_and_log_are_what_the_body_said_last(self, queue, add):
        job = add.delay(1)
        assert (job.progress, job.message, job.log) == (0.0, "", [])
        claim = running(queue)
        queue._store.note_many([Note(claim.key, claim.fence, 0.4, "nearly", ((0.0, "a line"),))])
        assert (job.progress, job.message) == (0.4, "nearly")
        assert [line.text for line in job.log] == ["a line"]

    def test_a_job_that_was_dropped_has_no_fields(self, queue, add):
        job = add.delay(1)
        assert job.cancel()
        assert queue.drop(job) == 1
        for field in ("record", "status", "args", "progress", "error"):
            with pytest.raises(LookupError, match=job.id):
                getattr(job, field)
        assert (job.history, job.log, job.cancel()) == ([], [], False)
        with pytest.raises(LookupError, match="not in the store"):
            job.retry()


class TestCancel:
    def test_a_waiting_job_is_cancelled_at_once(self, add):
        job = add.delay(1)
        assert (job.cancel(), job.cancel()) == (True, False)
        assert job.status == "cancelled"
        with pytest.raises(JobCancelled, match="cancelled: it was asked to be") as caught:
            job.result(timeout=10)
        assert caught.value.__cause__ is None

    def test_a_running_job_is_told(self, queue, add):
        job = add.delay(1)
        running(queue)
        assert job.cancel()
        assert (job.status, job.record.cancelling) == ("running", True)

    def test_a_completed_job_is_not_live(self, queue, add):
        job = add.delay(1)
        with queue.worker():
            job.result(timeout=10)
        assert not job.cancel()


class TestMove:
    def test_a_job_that_waits_runs_now(self, queue, add):
        job = add.using(delay=3600).delay(1)
        with queue.worker():
            assert job.run_now()
            assert job.result(timeout=10) == 3
        assert not job.run_now()

    def test_a_retry_that_waits_runs_now(self, queue, eventually):
        @queue.task(name="flaky", retries=1, backoff=Fixed(3600))
        def flaky():
            if current_job.attempt == 1:
                raise ValueError

        job = flaky.delay()
        with queue.worker():
            eventually(lambda: len(attempts(job)) == 1 and job.status == "pending")
            assert job.run_now()
            job.result(timeout=10)
        assert outcomes(job) == ["retry", "completed"]

    def test_a_job_waits_for_another_time(self, add):
        job = add.delay(1)
        assert job.reschedule(delay=timedelta(hours=1))
        assert 3590 < (job.run_at - job.created_at).total_seconds() < 3610
        at = datetime.now(UTC) + timedelta(hours=2)
        assert job.reschedule(run_at=at)
        assert abs((job.run_at - at).total_seconds()) < 10
        assert job.reschedule(run_at=datetime.now(UTC) - timedelta(hours=1))
        assert job.run_at < datetime.now(UTC) + timedelta(seconds=1)

    def test_a_worker_that_sleeps_for_it_learns_of_the_new_time(self, queue, add):
        with queue.worker():
            job = add.using(delay=3600).delay(1)
            assert job.reschedule(delay=0.01)
            assert job.result(timeout=10) == 3

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({}, "delay=None is not valid; expected seconds, or give run_at="),
            ({"delay": -1}, "delay=-1 is not valid"),
            ({"run_at": datetime(2030, 1, 1)}, "expected an aware datetime"),  # noqa: DTZ001  # that is it
            ({"delay": 1, "run_at": datetime.now(UTC)}, "can't be combined with delay"),
            ({"delay": 90}, "expected a time before the job expires, at 20"),
        ],
    )
    def test_a_time_that_makes_no_sense_is_refused(self, add, asked, says):
        job = add.using(expires=60).delay(1)
        before = job.record
        with pytest.raises(InvalidOption, match=r"reschedule\(\): .*") as caught:
            job.reschedule(**asked)
        assert says in str(caught.value)
        assert job.record == before

    def test_a_job_that_does_not_wait_is_not_moved(self, queue, add):
        job = add.using(expires=60).delay(1)
        running(queue)
        assert (job.run_now(), job.reschedule(delay=90), job.reprioritize(1)) == (False,) * 3
        gone = JobHandle(queue._client, "7-0000000a", "add")
        assert (gone.run_now(), gone.reschedule(delay=9), gone.reprioritize(1)) == (False,) * 3

    def test_a_priority_is_in_the_order_of_the_queue(self, add, make_queue):
        job = add.delay(1)
        assert job.reprioritize(-3)
        assert job.priority == -3
        with pytest.raises(InvalidOption, match=r"reprioritize\(\): priority='high'"):
            job.reprioritize("high")
        queue = make_queue(priority_order="higher_first")
        first, second = queue.task(name="t")(lambda n: n).map([(1,), (2,)])
        assert second.reprioritize(5)
        assert second.priority < first.priority


class TestRetry:
    def test_a_failed_job_runs_again_with_its_history(self, queue, failed):
        job = failed()
        assert job.retry() == job
        assert (job.status, len(attempts(job))) == ("pending", 1)
        with queue.worker(), pytest.raises(JobFailed, match="no luck"):
            job.result(timeout=10)
        assert len(job.history) == 2

    def test_a_cancelled_job_runs_again(self, queue, add):
        job = add.delay(1)
        job.cancel()
        with queue.worker():
            assert job.retry().result(timeout=10) == 3

    @pytest.mark.parametrize(
        ("edit", "result"),
        [({"args": (5,)}, 12), ({"kwargs": {"b": 9}}, 10), ({"args": [4, 5], "kwargs": {}}, 9)],
    )
    def test_what_is_not_edited_stays(self, queue, add, edit, result):
        job = add.delay(1, b=7)
        job.cancel()
        with queue.worker():
            assert job.retry(**edit).result(timeout=10) == result

    def test_edited_arguments_are_checked_as_at_delay(self, add):
        job = add.delay(1)
        job.cancel()
        for edit in (
            {"args": ()},
            {"args": (1, 2, 3)},
            {"kwargs": {"c": 1}},
            {"args": (object(),)},
        ):
            with pytest.raises(InvalidArguments, match="add"):
                job.retry(**edit)
        assert job.status == "cancelled"

    def test_of_a_task_that_is_unknown_here_any_storable_arguments_will_do(self, queue, make_queue):
        task = queue.task(name="elsewhere")(lambda n: n)
        job = task.delay(1)
        job.cancel()
        del queue._tasks._tasks["elsewhere"]
        job.retry(args=(1, 2, 3))
        assert job.args == (1, 2, 3)

    def test_arguments_that_cannot_be_read_can_be_replaced(self, queue, add):
        (job_id,) = queue._store.enqueue_many([NewJob("add", "default", b'"nonsense"')])
        job = queue.get_job(job_id)
        job.cancel()
        with queue.worker():
            assert job.retry(args=(1,), kwargs={}).result(timeout=10) == 3

    def test_a_live_or_completed_job_says_that_it_cannot(self, queue, add):
        job = add.delay(1)
        with pytest.raises(NotRetryable, match=rf"job {job.id} \(add\) is pending"):
            job.retry()
        with queue.worker():
            job.result(timeout=10)
        with pytest.raises(NotRetryable, match="is completed"):
            job.retry()

    def test_a_live_job_of_the_same_key_stands_for_it(self, add):
        once = add.using(unique="k")
        old = once.delay(1)
        old.cancel()
        live = once.delay(2)
        again = old.retry()
        assert (again, again.task, old.status) == (live, "add", "cancelled")


class OwnError(Exception):
    pass


class Demanding(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class TestResult:
    def test_a_builtin_error_is_the_cause_with_the_evidence_as_its_own(self, queue, failed):
        with pytest.raises(JobFailed, match="ValueError: no luck") as caught:
            failed().result(timeout=10)
        cause = caught.value.__cause__
        assert (type(cause), cause.args) == (ValueError, ("no luck",))
        assert isinstance(cause.__cause__, RemoteError)
        assert "Traceback" in cause.__cause__.failure.traceback

    @pytest.mark.parametrize("registered", [True, False])
    def test_an_own_error_is_the_cause_if_it_is_registered(self, queue, eventually, registered):
        def fail():
            raise OwnError("mine")

        if registered:
            queue.register(OwnError)
        job = queue.task(name="fail", retries=0)(fail).delay()
        with queue.worker(), pytest.raises(JobFailed, match="OwnError: mine") as caught:
            job.result(timeout=10)
        cause = caught.value.__cause__
        assert type(cause) is (OwnError if registered else RemoteError)
        evidence = cause.__cause__ if registered else cause
        assert evidence.failure.type.endswith("OwnError")
        assert "raise OwnError" in evidence.failure.traceback

    def test_an_error_that_wants_more_than_a_message_leaves_the_evidence(self, queue):
        def fail():
            raise Demanding(1, 2)

        queue.register(Demanding)
        job = queue.task(name="fail", retries=0)(fail).delay()
        with queue.worker(), pytest.raises(JobFailed, match="Demanding") as caught:
            job.result(timeout=10)
        assert type(caught.value.__cause__) is RemoteError


class TestRegistering:
    def test_a_registered_type_is_stored_as_json(self, queue):
        queue.register(Fraction, str, Fraction)
        task = queue.task(name="half")(lambda value: value / 2)
        job = task.delay(Fraction(1, 3))
        assert b"1/3" in job.record.payload
        with queue.worker():
            assert job.result(timeout=10) == Fraction(1, 6)

    def test_an_error_can_be_both_an_argument_and_a_cause(self, queue):
        queue.register(OwnError, str, OwnError)

        @queue.task(name="reraise", retries=0)
        def reraise(error):
            raise error

        job = reraise.delay(OwnError("mine"))
        with queue.worker(), pytest.raises(JobFailed) as caught:
            job.result(timeout=10)
        assert (type(caught.value.__cause__), str(caught.value.__cause__)) == (OwnError, "mine")

    @pytest.mark.parametrize(
        "arguments", [(Fraction,), (Fraction, str), (OwnError, str), ("Fraction", str, Fraction)]
    )
    def test_what_says_too_little_is_refused(self, queue, arguments):
        with pytest.raises(InvalidOption, match=r"Queue\.register\(\)"):
            queue.register(*arguments)

    def test_pickles_need_no_types_and_take_errors(self, make_queue):
        queue = make_queue(codec=PickleCodec("0123456789abcdef"))
        queue.register(OwnError)
        with pytest.raises(InvalidOption, match="cls="):
            queue.register(Fraction, str, Fraction)
