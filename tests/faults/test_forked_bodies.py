"""A process that a body forks off ends with the body: it never goes on as a second worker."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

WAYS = {
    "returns": ("return 'the copy'", 0),
    "exits": ("raise SystemExit(3)", 3),
    "raises": ("raise ValueError('in the copy')", 1),
}

PROGRAM = """
import asyncio, contextlib, os, sys, time
from mainspring import AsyncTaskWorker, Queue, background_worker, task_supervisor

HOME = os.getpid()
copies = []

def fork():
    if copies:
        assert os.getpid() == HOME, "the copy has run a body"
        return False
    copies.append(os.fork())
    return copies[0] == 0

def body():
    if fork():
        {way}
    return "the parent"

async def abody():
    return body()

async def waits():
    before_the_fork = asyncio.get_running_loop().create_future()
    if fork():
        await before_the_fork
    return "the parent"

def status():
    for _ in range(1000):
        pid, status = os.waitpid(copies[0], os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(copies[0], 9)
    return "it lived on"

def durable(body):
    queue = Queue(db_path="jobs.db", workers=1)

    @queue.middleware
    @contextlib.contextmanager
    def around(attempt):
        yield
        assert os.getpid() == HOME, "the copy has left the middleware"

    first, second = queue.task(body, **{{}}), queue.task(after)
    with queue.worker():
        print(first.delay().result(timeout=20))
        print(second.delay().result(timeout=20))

def after():
    return "the next"

async def aafter():
    return after()

def pool(body):
    async def main():
        async with AsyncTaskWorker() as worker:
            print(await (await worker.submit(body)).result())
            print(await (await worker.submit(aafter)).result())
            assert os.getpid() == HOME
    asyncio.run(main())

def background(body):
    results = []
    if asyncio.iscoroutinefunction(body):
        async def target(**_):
            results.append(await body())
    else:
        def target(**_):
            results.append(body())
    worker = background_worker(target, interval=0.01)
    worker.start()
    while len(results) < 3:
        time.sleep(0.001)
    worker.stop()
    print(results[0])
    print("the next")
    task_supervisor.stop()

def spawned(body):
    task_supervisor.start()
    print(task_supervisor.spawn(body).result(20))
    print(task_supervisor.spawn(after).result(20))
    task_supervisor.stop()

def aloop(body):
    task_supervisor.start()
    loop = task_supervisor.create_aloop("own")
    print(loop.run(body()))
    print(loop.run(aafter()))
    task_supervisor.stop()

{start}
print(status())
assert os.getpid() == HOME
"""


def lines(tmp_path, start, way="return 'the copy'"):
    program = tmp_path / "forks.py"
    program.write_text(dedent(PROGRAM).format(start=start, way=way))
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "start",
    [
        "durable(body)",
        "durable(abody)",
        "pool(body)",
        "pool(abody)",
        "background(body)",
        "background(abody)",
        "spawned(body)",
    ],
)
def test_a_forked_child_ends_as_a_script_would_and_the_parent_goes_on(tmp_path, start, way):
    body, status = WAYS[way]
    said, log = lines(tmp_path, start, body)
    assert said == ["the parent", "the next", str(status)]
    assert ("ValueError: in the copy" in log) is (way == "raises")


@pytest.mark.parametrize("start", ["durable(waits)", "background(waits)", "aloop(waits)"])
def test_a_forked_child_that_comes_back_to_the_loop_ends_and_says_so(tmp_path, start):
    said, log = lines(tmp_path, start)
    assert said == ["the parent", "the next", "1"]
    assert "it was forked off by a coroutine" in log
    assert "os._exit()" in log
