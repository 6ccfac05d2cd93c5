"""A job completed in its body's own transaction: with it or not at all, and said once."""

from __future__ import annotations

import contextlib
import threading

import pytest

from histories import outcomes
from mainspring import Exponential, JobEvent, JobFailed, JobState, Queue, current_job
from mainspring.errors import InvalidConnection, JobCancelled, LeaseLost, NotRunning
from mainspring.model.events import OutcomesRefused
from mainspring.stores.memory import MemoryStore


class Connection:
    """A transaction of the user's that is always open."""

    def __init__(self):
        self.pending = []

    def commit(self):
        while self.pending:
            self.pending.pop(0)()

    def rollback(self):
        self.pending.clear()


class SqlStore(MemoryStore):
    """A memory store that does on such a connection what an SQL store does on its own kind."""

    def __init__(self):
        super().__init__()
        self.announced = 0

    def enqueue_in(self, connection, jobs):
        raise NotImplementedError

    def finish_in(self, connection, node, outcome):
        if not isinstance(connection, Connection):
            raise InvalidConnection("it is of another kind", "give one of ours")
        job = self._ledger.jobs[outcome.key]
        if not job.holds(node, outcome.fence):
            return False
        connection.pending.append(lambda: self.finish_many(node, [outcome]))
        return True

    def announce(self):
        self.announced += 1


@pytest.fixture
def store():
    return SqlStore()


@pytest.fixture
def queue(store, monkeypatch):
    monkeypatch.setattr("mainspring.queue.binding.open_store", lambda *_, **__: store)
    queue = Queue("memory://", workers=2, grace=1)
    queue.told = []
    queue.subscribe(queue.told.append, inline=True)
    yield queue
    queue.close()


def told(queue, kind):
    return [event for event in queue.told if isinstance(event, kind)]


def ended_as(queue):
    ends = ("completed", "failed", "retried")
    return [event.kind for event in told(queue, JobEvent) if event.kind in ends]


@pytest.fixture(params=["thread", "async"])
def run(queue, request):
    """Run a body as a job of one task to its end; in a thread or on the loop."""

    def run(body, **options):
        async def abody():
            return body()

        options = {"retries": 1, "backoff": Exponential(base=0.0)} | options
        task = queue.task(name="body", **options)(body if request.param == "thread" else abody)
        with queue.worker():
            job = task.delay()
            with contextlib.suppress(JobFailed):
                job.result(timeout=10)
        return job

    return run


def test_committed_it_is_completed_with_what_was_said_there(queue, store, run):
    def body():
        conn = Connection()
        current_job.complete_in(conn, {"sum": 5})
        conn.commit()
        return "not looked at"

    job = run(body, keep_result=3600)
    assert job.result(timeout=5) == {"sum": 5}
    assert outcomes(job) == ["completed"]
    assert store._ledger.jobs[1].keep_until is not None
    assert (told(queue, OutcomesRefused), ended_as(queue)) == ([], ["completed"])
    assert store.announced == 1


def test_rolled_back_and_raised_it_is_an_attempt_that_failed(queue, run):
    def body():
        conn = Connection()
        current_job.complete_in(conn, current_job.attempt)
        if current_job.attempt == 1:
            conn.rollback()
            raise ConnectionError("the other database is gone")
        conn.commit()

    job = run(body)
    assert outcomes(job) == ["retry", "completed"]
    assert job.result(timeout=5) == 2
    assert "other database" in job.history[0].failure.message
    assert told(queue, OutcomesRefused) == []


def test_committed_and_raised_it_stays_completed(queue, run):
    def body():
        conn = Connection()
        current_job.complete_in(conn, "kept")
        conn.commit()
        raise ValueError("too late")

    job = run(body)
    assert job.result(timeout=5) == "kept"
    assert outcomes(job) == ["completed"]
    assert told(queue, OutcomesRefused) == []


def test_returned_without_a_commit_it_is_a_failed_attempt_that_says_so(queue, run):
    job = run(lambda: current_job.complete_in(Connection(), 1), retries=0)
    assert job.status == JobState.FAILED
    assert "NotCommitted" in job.error
    assert "without a commit" in job.error
    assert len(queue._store._ledger.jobs) == 1


def test_nothing_is_remembered_of_it(queue, run):
    sizes = []

    def body():
        (consumer,) = queue._consumers._running
        sizes.append(len(consumer._exchange.completions.outcomes))
        conn = Connection()
        current_job.complete_in(conn)
        sizes.append(len(consumer._exchange.completions.outcomes))
        if current_job.attempt == 2:
            conn.commit()

    run(body)
    assert sizes == [0, 1, 0, 1]


def test_a_connection_of_another_kind_is_an_error(run):
    job = run(lambda: current_job.complete_in(object()), retries=0)
    assert "InvalidConnection" in job.error


def test_a_result_that_can_not_be_stored_is_an_error_before_anything_is_written(run):
    conn = Connection()
    job = run(lambda: current_job.complete_in(conn, object()), retries=0)
    assert "UnstorableResult" in job.error
    assert conn.pending == []


def test_completing_twice_in_one_transaction_is_an_error_that_says_so(queue, run):
    def body():
        conn = Connection()
        current_job.complete_in(conn, 1)
        conn.commit()
        try:
            current_job.complete_in(conn, 2)
        except InvalidConnection as error:
            said.append(str(error))

    said = []
    job = run(body)
    assert job.result(timeout=5) == 1
    assert "called before" in said[0]


def test_a_job_in_other_hands_is_not_completed(queue, store, eventually):
    caught = []
    taken, go = threading.Event(), threading.Event()

    @queue.task(name="slow")
    def slow():
        if taken.is_set():
            return
        taken.set()
        go.wait(10)
        try:
            current_job.complete_in(Connection())
        except (LeaseLost, JobCancelled) as error:
            caught.append(error)

    with queue.worker():
        job = slow.delay()
        assert taken.wait(10)
        (node,) = store.nodes()
        store.rescue(node.key, dead=True, begun=frozenset())
        go.set()
        eventually(lambda: caught)
        job.result(timeout=10)
    assert outcomes(job).count("completed") == 1


def test_an_attempt_that_was_given_up_can_not_complete_its_job(queue, eventually):
    caught = []
    go = threading.Event()

    @queue.task(name="slow", timeout=0.05, retries=0)
    def slow():
        go.wait(10)
        try:
            current_job.complete_in(Connection())
        except JobCancelled as error:
            caught.append(error)

    with queue.worker():
        job = slow.delay()
        eventually(lambda: job.status == JobState.FAILED)
        go.set()
        eventually(lambda: caught)


def test_a_store_without_transactions_says_so():
    queue = Queue("memory://", workers=1)

    @queue.task(name="body", retries=0)
    def body():
        current_job.complete_in(object())

    with queue.worker(), pytest.raises(JobFailed, match="no transactions"):
        body.delay().result(timeout=10)


def test_a_child_process_says_so(make_app):
    app = make_app(
        """
        from mainspring import Queue, current_job
        queue = Queue("memory://", workers=1)

        @queue.task(retries=0, executor="process")
        def body():
            current_job.complete_in(object())
        """
    )
    with app.queue.worker(), pytest.raises(JobFailed, match="child process"):
        app.body.delay().result(timeout=20)


def test_outside_a_job_it_is_an_error():
    for ask in (
        lambda: current_job.complete_in(Connection()),
        current_job.check_cancelled,
        lambda: current_job.shutdown_requested,
    ):
        with pytest.raises(NotRunning):
            ask()
