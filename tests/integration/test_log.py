"""The log of a worker is one: records of all loggers, with the fields of the job they are of."""

from __future__ import annotations

import asyncio
import logging
import re
import threading

import pytest

from mainspring import AsyncTaskWorker, Exponential, GiveUp, Queue, Retry, Snooze
from mainspring.errors import InvalidOption, JobCancelled
from mainspring.model.job import FINAL
from mainspring.telemetry.job_fields import job_of

APP = """
    import logging
    from mainspring import Queue, current_job

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=5)
    shop = logging.getLogger("shop.orders")

    class Basket:
        def __str__(self):
            return "a basket"

    def say():
        extra = {"order": 7, "task": "a user's", "basket": Basket()}
        shop.debug("below %s", "a warning", extra=extra)
        return current_job.id

    @queue.task(name="thread")
    def thread():
        return say()

    @queue.task(name="coroutine")
    async def coroutine():
        return say()

    @queue.task(name="child", executor="process")
    def child():
        return say()

    @queue.task(name="broken", executor="process", retries=0)
    def broken():
        try:
            raise KeyError("inside")
        except KeyError:
            shop.exception("caught 100%")

    own = logging.Handler()
    own.emit = lambda record: open("own.log", "a").write(record.getMessage() + "\\n")
    logging.getLogger("own").addHandler(own)

    @queue.task(name="handled", executor="process")
    def handled():
        logging.getLogger("own").warning("once")

    @queue.task(name="forking", executor="process")
    def forking():
        import os
        read, write = os.pipe()
        if (pid := os.fork()) == 0:
            os.dup2(write, 2)
            shop.warning("of a grandchild")
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(write)
        return os.read(read, 100).decode()
"""


@pytest.fixture
def log(caplog):
    """All records, from the least level on."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def app(make_app):
    made = make_app(APP)
    yield made
    made.queue.close()
    for name in ("own", "shop.orders"):
        logging.getLogger(name).handlers.clear()


def of_logger(log, name):
    return [record for record in log.records if record.name == name]


@pytest.mark.parametrize("task", ["thread", "coroutine", "child"])
def test_a_record_of_any_logger_carries_the_fields_of_its_job(app, log, task):
    with app.queue.worker():
        job_id = getattr(app, task).delay().result(timeout=20)
    (record,) = of_logger(log, "shop.orders")
    assert job_of(record) == {"job": job_id, "task": task, "queue": "default", "attempt": 1}
    assert record.getMessage() == "below a warning"
    assert (record.order, record.task, str(record.basket)) == (7, "a user's", "a basket")


def test_a_record_outside_a_job_carries_none(app, log):
    with app.queue.worker():
        app.thread.delay().result(timeout=20)
        app.shop.warning("outside")
    assert job_of(of_logger(log, "shop.orders")[-1]) == {}


def test_a_traceback_of_a_child_arrives_with_its_record(app, log):
    with app.queue.worker():
        app.broken.delay().result(timeout=20)
    (record,) = of_logger(log, "shop.orders")
    assert record.getMessage() == "caught 100%"
    assert "KeyError: 'inside'" in record.exc_text


def test_a_handler_that_parent_and_child_have_both_gets_a_record_once(app, log, tmp_path):
    with app.queue.worker():
        app.handled.delay().result(timeout=20)
    assert (tmp_path / "own.log").read_text() == "once\n"
    assert len(of_logger(log, "own")) == 1


def test_what_a_process_logs_that_a_body_forked_off_goes_to_its_standard_error(app):
    with app.queue.worker():
        assert app.forking.delay().result(timeout=20) == "of a grandchild\n"


def test_a_pools_task_has_its_fields_too(log):
    async def body():
        logging.getLogger("shop").warning("in a pool")

    async def main():
        async with AsyncTaskWorker(max_workers=1) as pool:
            task_id = await pool.add_task(body, task_id="one")
            await pool.get_task_future(task_id)

    asyncio.run(main())
    (record,) = of_logger(log, "shop")
    assert job_of(record)["job"] == "one"


def test_the_programs_own_record_factory_is_asked_and_is_back_at_the_end(queue):
    class Own(logging.LogRecord):
        pass

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Own)
    try:
        made = []

        @queue.task(name="task")
        def task():
            made.append(logging.getLogger("shop").makeRecord("shop", 10, "", 0, "", (), None))

        for _ in range(2):
            with queue.worker():
                task.delay().result(timeout=10)
            assert logging.getLogRecordFactory() is Own
    finally:
        logging.setLogRecordFactory(before)
    assert [type(record) for record in made] == [Own, Own]
    assert job_of(made[1])["task"] == "task"


def test_a_record_factory_that_was_set_meanwhile_stays(queue):
    before = logging.getLogRecordFactory()
    try:
        for _ in range(2):
            with queue.worker():
                ours = logging.getLogRecordFactory()

                def factory(*args, _ours=ours, **kwargs):
                    return _ours(*args, **kwargs)

                logging.setLogRecordFactory(factory)
            assert logging.getLogRecordFactory() is factory
        logging.getLogger("shop").warning("no endless recursion")
    finally:
        logging.setLogRecordFactory(before)


@pytest.fixture
def told(log, eventually):
    """Run a body once over, and return the records that tell of its failures."""

    def run(body, **options):
        queue = Queue("memory://", workers=1)
        task = queue.task(name="task", **options)(body)
        with queue.worker():
            job = task.delay()
            eventually(lambda: job.status in FINAL)
        return [record for record in of_logger(log, "mainspring") if job_of(record)]

    return run


def fail():
    raise ZeroDivisionError("by nought")


def test_a_final_failure_is_one_error_with_its_traceback(told):
    (record,) = told(fail, retries=0)
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is ZeroDivisionError
    text = logging.Formatter().format(record)
    assert "in fail" in text
    assert text.count("ZeroDivisionError: by nought") == 2
    assert job_of(record)["task"] == "task"


def test_a_retry_is_one_warning_with_error_and_delay(told):
    retry, failure = told(fail, retries=1, backoff=Exponential(base=0.01))
    assert (retry.levelno, failure.levelno) == (logging.WARNING, logging.ERROR)
    assert "ZeroDivisionError: by nought; attempt 2 in 0.0 s" in retry.getMessage()
    assert retry.exc_info is None
    assert (job_of(retry)["attempt"], job_of(failure)["attempt"]) == (1, 2)


@pytest.mark.parametrize("verdict", [Retry(delay=0.01), Snooze(0.01), GiveUp("enough")])
def test_what_a_body_asks_for_is_no_crash(told, verdict):
    seen = []

    def body():
        if not seen:
            seen.append(1)
            try:
                fail()
            except ZeroDivisionError:
                raise verdict  # noqa: B904  # with its context

    records = told(body)
    assert all(record.levelno < logging.ERROR for record in records)
    assert all(record.exc_info is None for record in records)


@pytest.fixture
def told_of_jobs(caplog, queue):
    """Run jobs of a task that does as it is told in a worker; return the lines of the job log."""

    @queue.task(name="does", retries=1, backoff=[0])
    def does(what):
        if what == "snooze" and not snoozed:
            snoozed.append(1)
            raise Snooze(0)
        if what == "fail":
            raise OSError("disk")

    snoozed = []

    def run(*words, **own):
        caplog.set_level("INFO", "mainspring.jobs")
        with queue.worker(**own):
            for word in words:
                queue.gather([does.delay(word)], return_exceptions=True, timeout=20)
        return [one for one in caplog.records if one.name == "mainspring.jobs"]

    return run


def test_each_attempt_that_ends_is_a_line_if_asked_for(told_of_jobs):
    lines = told_of_jobs("end", "snooze", "fail", log_jobs=True)
    assert [vars(one)["outcome"] for one in lines] == [
        *("completed", "snoozed", "completed", "retry", "failed")
    ]
    first = lines[0]
    assert job_of(first) == {
        "job": first.args[0],
        "task": "does",
        "queue": "default",
        "attempt": 1,
    }
    assert first.levelname == "INFO"
    assert re.fullmatch(
        r"job \S+ \(does\) completed after \d+\.\d{3} s, attempt 1", first.getMessage()
    )
    assert 0 <= vars(first)["duration"] < 20
    said = [one.getMessage() for one in lines]
    assert " put off after " in said[1]
    assert " failed, tried again after " in said[3]
    assert said[4].endswith(", attempt 2")


def test_what_is_cancelled_while_it_runs_is_a_line_without_a_duration_of_0(queue, caplog):
    began = threading.Event()

    @queue.task(name="long")
    async def long():
        began.set()
        await asyncio.sleep(60)

    caplog.set_level("INFO", "mainspring.jobs")
    with queue.worker(log_jobs=True):
        job = long.delay()
        assert began.wait(20)
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=20)
    (line,) = (one for one in caplog.records if one.name == "mainspring.jobs")
    assert line.getMessage() == f"job {job.id} (long) cancelled, attempt 1"
    assert vars(line)["duration"] is None


def test_no_job_is_a_line_otherwise(told_of_jobs):
    assert told_of_jobs("end", "fail") == []


def test_the_option_is_a_flag(queue):
    with pytest.raises(InvalidOption, match="log_jobs"):
        queue.run_worker(log_jobs="yes")
