"""Why a job does not run: each reason is told, over each store, from the catalog alone."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from mainspring.errors import JobFailed, JobGone
from mainspring.model.job import Failure, JobState, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.view import JobRecord
from mainspring.queue.explanation import QueueState, explained
from mainspring.queue.nodes import node_info

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def add(queue):
    @queue.task(name="add", retries=1)
    def add(first, second=0):
        return first + second

    return add


@pytest.fixture
def worker(queue):
    """Let a worker live that holds some jobs, with what it serves and reports."""

    def worker(name="w1", *, tasks=("add",), queues=None, lease=60, holds=0, kinds=(), **report):
        serves = json.dumps({"tasks": tasks, "queues": queues, "kinds": dict(kinds)}).encode()
        node = queue._store.join(name, host="h", pid=1, lease=lease, serves=serves)
        queue._store.enqueue_many([NewJob("add", "default", b"[[1],{}]")] * holds)
        queue._store.claim(node, [Want(("add",), None, holds)])
        queue._store.renew(node, lease=lease, report=json.dumps(report).encode())
        return node

    return worker


def reasons(job):
    return [reason.why for reason in job.explain().reasons]


def busy(running, size, kind="thread"):
    return {"holds": running, "slots": {kind: {"size": size, "running": 0}}}


class TestWaitingJobs:
    def test_without_a_worker_it_is_said_how_to_start_one(self, add):
        job = add.delay(1)
        assert reasons(job) == ["no worker"]
        assert "mainspring worker" in str(job.explain())

    def test_the_last_worker_that_went_silent_is_named(self, queue, add, worker, eventually):
        worker("silent-one", lease=0.2)
        job = add.delay(1)
        eventually(lambda: reasons(job) == ["no worker"])
        assert "silent-one" in str(job.explain())

    def test_a_paused_queue_comes_before_all_that_is_behind_it(self, queue, add):
        queue.pause("mail")
        job = add.using(queue="mail", delay=60).delay(1)
        assert reasons(job) == ["paused", "scheduled", "no worker"]
        assert "mainspring queues resume mail" in str(job.explain())

    def test_a_job_for_later_says_when(self, add, worker):
        worker(**busy(0, 2))
        job = add.using(delay=3600).delay(1)
        assert reasons(job) == ["scheduled", "about to start"]
        assert "it may start now" not in str(job.explain())
        assert f"{job.run_at:%H:%M:%S}" in str(job.explain())

    def test_another_attempt_is_told_from_a_first_one_with_its_error(self, make_queue):
        queue = make_queue()

        @queue.task(name="add", retries=1)
        def fail():
            raise ValueError("no luck")

        job = fail.using().delay()
        store = queue._store
        node = store.join("w1", host="h", pid=1, lease=60)
        (claim,) = store.claim(node, [Want(("add",), None, 1)])
        failure = Failure("ValueError", "no luck", "")
        again = Outcome(claim.key, claim.fence, OutcomeKind.RETRY, failure=failure, delay=60.0)
        store.finish_many(node, [again])
        assert reasons(job)[0] == "retrying"
        assert "1 attempt" in str(job.explain())

    def test_no_worker_takes_from_its_queue(self, add, worker):
        worker(queues=["mail", "default"])
        job = add.using(queue="video").delay(1)
        assert reasons(job) == ["queue not served"]
        assert "default, mail" in str(job.explain())

    def test_no_worker_knows_its_task(self, add, worker):
        worker("old-code", tasks=["divide"])
        job = add.delay(1)
        assert reasons(job) == ["task not known"]
        assert "old-code knows divide" in str(job.explain())

    def test_those_that_know_the_task_serve_other_queues(self, add, worker):
        worker("knows", queues=["mail"])
        worker("serves", tasks=["divide"])
        job = add.delay(1)
        assert reasons(job) == ["task not known"]
        assert "knows" in str(job.explain())

    def test_busy_slots_of_its_kind_are_counted(self, add, worker):
        slots = {"thread": {"size": 2, "running": 0}, "async": {"size": 9, "running": 0}}
        worker("busy-one", holds=2, kinds={"thread": ["add"], "async": []}, slots=slots)
        job = add.delay(1)
        add.delay(2)
        assert reasons(job) == ["slots busy"]
        said = str(job.explain())
        assert "busy-one (thread 2 of 2)" in said
        assert "2 jobs wait in queue default" in said

    def test_who_holds_the_busy_slots_for_longest_is_named(self, queue, add, worker):
        slots = {"thread": {"size": 2, "running": 0}, "async": {"size": 1, "running": 0}}
        worker("other", queues=["mail"], **busy(1, 1))
        kinds = {"thread": ["add"], "async": ["spin"]}
        node = worker("n1", queues=["default"], holds=2, kinds=kinds, slots=slots)
        spin = NewJob("spin", "default", b"[[1],{}]")
        (spun,) = queue._store.enqueue_many([spin])
        queue._store.claim(node, [Want(("spin",), None, 1)])
        job = add.delay(1)
        held = queue.jobs(status="running", task="add").records
        mine = [one for one in held if one.node == "n1"]
        said = str(job.explain())
        assert reasons(job) == ["slots busy"]
        assert len(mine) == 2
        for one in mine:
            since = f"{one.started_at:%Y-%m-%d %H:%M:%S} UTC"
            assert f"job {one.id} (add) on n1 since {since}" in said
        assert said.count("since") == 2
        assert spun not in said
        assert "other since" not in said

    def test_what_its_workers_have_to_do_in_other_queues_is_counted(self, queue, add, worker):
        worker("of-three", queues=["default", "mail", "thumbs", "paused"], **busy(2, 2))
        worker("of-one", queues=["alone"], **busy(2, 2))
        job, lonely = add.delay(1), add.using(queue="alone").delay(1)
        queue.pause("paused")
        for name, many in {"mail": 1, "thumbs": 3, "paused": 5}.items():
            add.using(queue=name).map([(one,) for one in range(many)])
        add.using(queue="thumbs", delay=60).delay(1)
        assert "where 3 of thumbs and 1 of others are ready" in str(job.explain())
        assert "other queues" not in str(lonely.explain())

    def test_a_free_slot_of_one_worker_is_enough(self, add, worker):
        worker("full", **busy(2, 2))
        worker("free", **busy(1, 2))
        assert reasons(add.delay(1)) == ["about to start"]

    def test_a_worker_that_stops_takes_nothing_more(self, add, worker):
        worker(draining=True, **busy(0, 2))
        assert reasons(add.delay(1)) == ["workers stop"]

    def test_a_worker_that_is_full_is_not_said_to_take_it(self, add, worker):
        worker("full", **busy(2, 2))
        worker("free", **busy(1, 2))
        said = str(add.delay(1).explain())
        assert "free takes it in its turn" in said
        assert "full" not in said

    def test_a_worker_with_as_many_threads_given_up_as_slots_has_no_room(self, add, worker):
        worker("stuck", slots={"thread": {"size": 2, "running": 0, "abandoned": 2}})
        job = add.delay(1)
        assert reasons(job) == ["slots busy"]
        assert "stuck (thread 0 of 2, and none is free before one ends of 2" in str(job.explain())

    def test_a_thread_that_was_given_up_leaves_its_slot_free(self, add, worker):
        worker(slots={"thread": {"size": 2, "running": 0, "abandoned": 1}})
        assert reasons(add.delay(1)) == ["about to start"]

    def test_a_silent_worker_is_said_to_be_silent(self, queue, add, worker):
        node = worker("mute")
        running = add.delay(1)
        queue._store.claim(node, [Want(("add",), None, 1)])
        # As with a lease of 60 s that was renewed 50 s ago.
        report = {"slots": {"thread": {"size": 2, "running": 0}}, "lease": 60, "heartbeat": 5}
        queue._store.renew(node, lease=10, report=json.dumps(report).encode())
        job = add.delay(1)
        assert reasons(job) == ["about to start"]
        assert "takes it in its turn" not in str(job.explain())
        assert "mute, silent for 50 s" in str(job.explain())
        assert "mute, silent for 50 s" in str(running.explain())
        worker("heard", **busy(0, 2))
        assert "heard takes it in its turn" in str(job.explain())
        assert "mute" not in str(job.explain())

    def test_a_worker_whose_report_can_not_be_read_may_have_room(self, queue, add, worker):
        node = worker()
        queue._store.renew(node, lease=60, report=b"[no report")
        assert reasons(add.delay(1)) == ["about to start"]


class TestOtherJobs:
    def test_a_running_job_names_its_worker(self, queue, add, worker):
        node = worker("w7")
        job = add.delay(1)
        queue._store.claim(node, [Want(("add",), None, 1)])
        assert reasons(job) == ["running"]
        assert "w7" in str(job.explain())
        assert job.cancel()
        assert reasons(job) == ["cancelling", "running"]

    def test_a_job_whose_worker_is_gone_waits_to_be_taken_over(
        self, queue, add, worker, eventually
    ):
        node = worker("gone", lease=0.2)
        job = add.delay(1)
        queue._store.claim(node, [Want(("add",), None, 1)])
        eventually(lambda: reasons(job) == ["worker lost"])
        assert "no worker is live" in str(job.explain())
        worker("other")
        assert "another worker takes it over" in str(job.explain())

    def test_ended_jobs_say_how_they_ended(self, queue, add):
        with queue.worker():
            done = add.delay(1)
            assert done.result(20) == 1
        assert reasons(done) == ["completed"]
        waiting = add.delay(2)
        assert waiting.cancel()
        assert reasons(waiting) == ["cancelled"]

    def test_a_failed_job_says_why_and_how_to_run_it_again(self, queue):
        @queue.task(retries=0)
        def fail():
            raise ValueError("no luck\x1b[31m")

        job = fail.delay()
        with queue.worker(), pytest.raises(JobFailed):
            job.result(20)
        assert reasons(job) == ["failed"]
        said = str(job.explain())
        assert "no luck\\x1b[31m" in said
        assert f"mainspring jobs retry {job.id}" in said

    def test_a_job_that_is_gone_can_not_be_explained(self, queue, add):
        job = add.delay(1)
        job.cancel()
        queue.drop(job)
        with pytest.raises(JobGone):
            job.explain()

    def test_a_coroutine_asks_without_blocking(self, add):
        async def ask():
            return await (await add.adelay(1)).aexplain()

        assert [reason.why for reason in asyncio.run(ask()).reasons] == ["no worker"]


class TestPure:
    RECORD = JobRecord(
        key=1, id="j", task="add", queue="default", priority=0, state=JobState.PENDING,
        payload=b"[]", attempts=0, crashes=0, created_at=MOMENT, run_at=MOMENT,
    )  # fmt: skip

    def explained(self, **changes):
        around = QueueState((), (), changes.pop("nodes", ()))
        record = replace(self.RECORD, **changes)
        return [one.why for one in explained(record, around, MOMENT, "thread").reasons]

    def test_an_expired_job_is_run_by_nobody(self):
        assert self.explained(expires_at=MOMENT - timedelta(seconds=1)) == ["expired"]

    def test_a_job_that_has_killed_its_workers_may_do_so_again(self):
        def said(kind):
            failed = replace(self.RECORD, state=JobState.FAILED, failure=Failure(kind, "of it"))
            return str(explained(failed, QueueState((), (), ()), MOMENT))

        assert "it may take the next worker with it" in said("mainspring.errors.WorkerLost")
        assert "it may take the next worker with it" not in said("builtins.ValueError")

    def test_a_suspect_waits_for_another(self, queue, worker):
        worker(**busy(0, 2))
        nodes = [node_info(one) for one in queue._store.nodes()]
        assert self.explained(crashes=2, nodes=nodes) == ["alone"]
