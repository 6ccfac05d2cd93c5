"""Jobs of tasks that this program does not import."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from mainspring import Queue
from mainspring.errors import InvalidArguments, InvalidOption, UnknownOption


def tasks_of(queue):
    @queue.task(name="mail.send", queue="mail", expires=60)
    def send(to, *, copy=False):
        return f"{to} {copy}"

    return send


@pytest.fixture
def both(tmp_path):
    """Return the queue of a web process, which has no task, and that of a worker."""
    web, worker = (Queue(db_path=tmp_path / "jobs.db", durability="normal") for _ in range(2))
    tasks_of(worker)
    yield web, worker
    web.close()
    worker.close()


def test_a_worker_runs_what_another_program_has_named(both):
    web, worker = both
    job = web.enqueue("mail.send", ("you",), {"copy": True}, queue="mail")
    with worker.worker():
        assert job.result(10) == "you True"
        assert asyncio.run(ask(web)) == "me False"


async def ask(web):
    job = await web.aenqueue("mail.send", ["me"])
    return await job.aresult(10)


def test_options_are_those_of_using():
    queue = Queue("memory://")
    with queue.testing() as t:
        job = queue.enqueue("mail.send", priority=-1, delay=timedelta(seconds=5), unique="k")
        assert (job.priority, t.jobs()[0].delay) == (-1, 5)
        assert queue.enqueue("mail.send", ("other",), unique="k") == job
        assert t.run(seconds=5) == 0  # nobody here has the task


def test_a_task_that_is_known_here_has_its_options_and_signature():
    queue = Queue("memory://")
    send = tasks_of(queue)
    with queue.testing() as t:
        queue.enqueue("mail.send", ("you",))
        t.assert_enqueued(send, "you", queue="mail")
        with pytest.raises(InvalidArguments):
            queue.enqueue("mail.send", (1, 2, 3))


def test_a_test_of_the_web_process_asserts_by_name():
    queue = Queue("memory://")
    with queue.testing() as t:
        queue.enqueue("mail.send", ("you",), {"copy": True}, queue="mail")
        assert t.assert_enqueued("mail.send", "you", copy=True, queue="mail", times=1)
        t.assert_not_enqueued("mail.send", "me")
        t.assert_not_enqueued("mail.sent")
        with pytest.raises(AssertionError, match=r"send\('me'\) was not enqueued.*\n.*'you'"):
            t.assert_enqueued("mail.send", "me")
        with pytest.raises(InvalidOption, match="the name of a task"):
            t.assert_enqueued("")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda queue: queue.enqueue(tasks_of), InvalidOption),
        (lambda queue: queue.enqueue(""), InvalidOption),
        (lambda queue: queue.enqueue("a.b", "you"), InvalidArguments),
        (lambda queue: queue.enqueue("a.b", (), [1]), InvalidArguments),
        (lambda queue: queue.enqueue("a.b", (), {}, queues="mail"), UnknownOption),
        (lambda queue: queue.enqueue("a.b", (object(),)), InvalidArguments),
    ],
)
def test_a_slip_is_named(call, error):
    with pytest.raises(error):
        call(Queue("memory://"))
