"""Options that a job has of its own: they take the place of the task's, and are kept with it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import pairwise

import pytest

from histories import attempts
from mainspring import Cache, Exponential, Fixed, JobFailed, Queue, current_job
from mainspring.errors import InvalidOption
from mainspring.model.job import NewJob
from mainspring.model.job_options import JobOptions


@pytest.fixture
def memory():
    """A queue that no worker of the tests' serves."""
    queue = Queue("memory://", workers=1)
    yield queue
    queue.close()


@pytest.fixture
def broken(memory):
    @memory.task(name="broken", retries=3, backoff=Fixed(1000))
    def broken():
        raise OSError

    return broken


def attempts_of(memory, task, **options):
    with memory.testing() as kit:
        job = task.using(**options).delay()
        with pytest.raises(OSError):  # noqa: PT011  # the body's own
            kit.run(seconds=10**6)
        starts = [line.started_at for line in job.history]
    gaps = [round((later - one).total_seconds()) for one, later in pairwise(starts)]
    return len(starts), gaps


class TestRetries:
    @pytest.mark.parametrize("retries", [0, 1, 5])
    def test_a_job_has_retries_of_its_own(self, memory, broken, retries):
        assert attempts_of(memory, broken, retries=retries)[0] == 1 + retries

    @pytest.mark.parametrize(
        ("backoff", "gaps"),
        [
            (Fixed(7), [7, 7, 7]),
            ([1, timedelta(seconds=20)], [1, 20, 20]),
            (Exponential(10, factor=3, jitter=False), [10, 30, 90]),
        ],
    )
    def test_a_job_has_a_backoff_of_its_own(self, memory, broken, backoff, gaps):
        assert attempts_of(memory, broken, backoff=backoff) == (4, gaps)

    def test_what_is_not_given_is_the_tasks(self, memory, broken):
        assert attempts_of(memory, broken) == (4, [1000] * 3)
        assert attempts_of(memory, broken, timeout=9) == (4, [1000] * 3)


@pytest.mark.parametrize("retried", [False, True])
def test_a_job_has_a_timeout_of_its_own(memory, retried):
    @memory.task(name="slow", retries=0, timeout=600)
    async def slow():
        await asyncio.sleep(60)

    with memory.testing() as kit:
        job = slow.using(timeout=5, retries=int(retried), backoff=[0.0]).delay()
        with pytest.raises(Exception, match="timed out after its timeout of 5 s"):
            kit.run(seconds=600)
        assert len(job.history) == 1 + retried
        assert slow.delay().id
        kit.run(seconds=600)


def test_a_thread_is_given_up_after_the_jobs_own_timeout(memory, gate):
    @memory.task(name="stuck", retries=0)
    def stuck():
        gate.wait(60)

    job = stuck.using(timeout=0.05).delay()
    with memory.worker(), pytest.raises(JobFailed, match=r"its timeout of 0\.05 s"):
        job.result(timeout=20)


def test_a_job_is_kept_as_long_as_it_says(memory):
    task = memory.task(name="t", keep_result=5)(lambda: None)
    jobs = [task.using(keep_result=500).delay(), task.delay()]
    with memory.worker():
        memory.gather(jobs, timeout=20)
    rows = [memory._store._ledger.find(job.id) for job in jobs]
    assert [(row.keep_until - row.ended_at) / 1e6 for row in rows] == [500, 5]


def nap(seconds):
    time.sleep(seconds)
    return current_job.attempt


def test_a_job_in_a_child_has_options_of_its_own(queue):
    task = queue.task(name="nap", executor="process", retries=0, timeout=60, backoff=[0.0])(nap)
    with queue.worker():
        job = task.using(timeout=0.1, retries=1, backoff=[0.0]).delay(60)
        with pytest.raises(JobFailed, match=r"its timeout of 0\.1 s"):
            job.result(timeout=60)
    assert len(attempts(job)) == 2


def test_a_cached_job_waits_as_long_as_it_may_take_itself(memory):
    runs = []

    @memory.task(name="once", timeout=0.01, cache=Cache(60))
    def once(n):
        runs.append(n)
        time.sleep(0.1)
        return n

    with memory.worker():
        assert once.using(timeout=60).delay(1).result(timeout=20) == 1
        assert once.using(timeout=60).delay(1).result(timeout=20) == 1
    assert runs == [1]


class TestAtTheCall:
    def test_the_record_shows_them(self, add):
        job = add.using(
            retries=1, timeout=2.5, keep_result=timedelta(days=1), backoff=[1, 2]
        ).delay(1)
        expected = JobOptions(retries=1, timeout=2.5, keep_result=86_400.0, backoff=(1.0, 2.0))
        assert job.record.options == expected
        assert not add.delay(1).record.options

    def test_they_add_to_each_other(self, add):
        hasty = add.using(retries=0, timeout=1)
        job = hasty.using(timeout=2, priority=-1).delay(1)
        assert (job.record.options, job.priority) == (JobOptions(retries=0, timeout=2), -1)
        assert hasty.delay(1).record.options == JobOptions(retries=0, timeout=1)

    def test_jobs_of_a_batch_differ(self, queue, add):
        jobs = queue.enqueue_many([add.call(1), add.using(retries=0).call(2), add.call(3)])
        assert [job.record.options.retries for job in jobs] == [None, 0, None]
        mapped = add.using(retries=4).map([(1,), (2,)])
        assert [job.record.options.retries for job in mapped] == [4, 4]

    @pytest.mark.parametrize(
        ("option", "value", "says"),
        [
            ("retries", -1, "expected a whole number from 0"),
            ("retries", 2**31, "expected a whole number from 0 to 2147483647"),
            ("retries", True, "expected a whole number from 0"),
            ("timeout", 0, "expected seconds above 0.* or None for that of the task"),
            ("keep_result", -1, "expected seconds from 0"),
            ("backoff", "quick", r"expected Exponential\(...\)"),
            ("backoff", lambda attempt: attempt, "can't be kept with a job; give it to the task"),
        ],
    )
    def test_an_option_that_makes_no_sense_is_refused_at_once(self, memory, option, value, says):
        task = memory.task(name="add")(lambda: None)
        with pytest.raises(InvalidOption, match=rf"add\.using\(\): {option}=.*{says}"):
            task.using(**{option: value})

    def test_a_declared_schedule_has_those_of_its_task_and_its_own_tags(self, memory):
        task = memory.task(name="add")(lambda: None)
        memory.every(60, tags=["often"])(task.using(retries=0))

        @memory.cron("0 3 * * *", name="nightly", retries=2, metadata={"team": 1})
        def clean():
            pass

        with memory.worker():
            often, nightly = (memory.schedules[name].trigger() for name in ("add", "nightly"))
        assert often.record.options == JobOptions(retries=0, tags=("often",))
        assert nightly.record.options == JobOptions(metadata={"team": 1})
        assert clean.task.retries == 2
        assert not task.enqueue_options.own

    def test_a_name_will_do(self, queue):
        job = queue.enqueue("elsewhere", (1,), retries=0, backoff=Fixed(5))
        assert job.record.options == JobOptions(retries=0, backoff=5.0)


class TestTagsAndMetadata:
    def test_tags_and_metadata_are_kept_and_the_body_sees_them(self, queue):
        seen = []

        @queue.task(name="look")
        def look():
            seen.append((current_job.tags, current_job.metadata))

        tagged = look.using(tags=["eu", "vip", "eu"], metadata={"order": 17, "by": ["me", None]})
        job, plain = tagged.delay(), look.delay()
        assert (job.tags, job.metadata) == (("eu", "vip"), {"order": 17, "by": ["me", None]})
        assert (plain.tags, plain.metadata) == ((), {})
        with queue.worker():
            queue.gather([job, plain], timeout=20)
        assert (("eu", "vip"), {"order": 17, "by": ["me", None]}) in seen
        assert ((), {}) in seen
        assert list(queue.jobs(tag="vip")) == [job]
        assert list(queue.jobs(tag="vip", status="pending")) == []

    def test_a_page_leads_on(self, memory):
        task = memory.task(name="t")(lambda: None)
        jobs = [task.using(tags={"b", "a"}).delay() for _ in range(3)]
        page = memory.jobs(tag="a", limit=2)
        rest = memory.jobs(tag="a", limit=2, cursor=page.cursor)
        assert [*page, *rest] == jobs[::-1]
        assert (rest.cursor, jobs[0].tags) == (None, ("a", "b"))

    @pytest.mark.parametrize(
        ("option", "value", "says"),
        [
            ("tags", "eu", r"expected a list of up to 20 texts"),
            ("tags", ["x" * 101], "of 1 to 100 characters"),
            ("tags", [""], "of 1 to 100 characters"),
            ("tags", [7], "texts"),
            ("tags", [str(n) for n in range(21)], "up to 20"),
            ("metadata", ["a"], "expected a dict of texts, numbers"),
            ("metadata", {1: "a"}, "with texts as keys"),
            ("metadata", {"a": (1, 2)}, "expected a dict"),
            ("metadata", {"a": object()}, "expected a dict"),
            ("metadata", {"a": float("nan")}, "expected a dict"),
            ("metadata", {"a": "x" * 8192}, r"is 8,200 bytes of JSON, and 8,192 are the most"),
        ],
    )
    def test_what_can_not_be_kept_is_refused_at_once(self, memory, option, value, says):
        task = memory.task(name="add")(lambda: None)
        with pytest.raises(InvalidOption, match=rf"add\.using\(\): {option}=.*{says}"):
            task.using(**{option: value})

    def test_a_filter_is_a_text(self, memory):
        with pytest.raises(InvalidOption, match=r"jobs\(\): tag=7"):
            memory.jobs(tag=7)


def tags_seen():
    return [*current_job.tags, current_job.metadata["n"]]


def test_a_body_in_a_child_sees_its_tags(memory):
    task = memory.task(name="tags_seen", executor="process")(tags_seen)
    with memory.worker():
        assert task.using(tags=["a"], metadata={"n": 1}).delay().result(timeout=60) == ["a", 1]


@pytest.mark.parametrize("options", [b'{"retries":"many"}', b'{"timeout":-1}', b"[[["])
def test_options_that_cannot_be_read_fail_the_attempt(tmp_path, options):
    queue = Queue(db_path=tmp_path / "jobs.db", workers=1, durability="normal")
    ran = []
    queue.task(name="t")(lambda: ran.append(1))
    (job_id,) = queue._store.enqueue_many([NewJob("t", "default", b"[[],{}]", options=options)])
    job = queue.get_job(job_id)
    assert "stored options can't be read" in job.error
    with queue.worker(), pytest.raises(JobFailed, match="stored options of the job can't be read"):
        job.result(timeout=20)
    assert (ran, len(attempts(job))) == ([], 1)
    queue.close()
