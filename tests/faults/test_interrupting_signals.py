"""Real signals and asynchronous exceptions that end calls, and what others see of it."""

import ctypes
import fcntl
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mainspring import Queue
from mainspring.errors import StoreBusy

PROLOGUE = """
import os, signal, sys
from mainspring import Queue

queue = Queue(db_path=sys.argv[1], durability="normal", busy_timeout=5, workers=2)

@queue.task(name="nop")
def nop(number):
    return number

nop.delay(0)
print("ready", flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
def queue(path):
    queue = Queue(db_path=path, durability="normal", busy_timeout=5)
    yield queue
    queue.close()


@pytest.fixture
def nop(queue):
    @queue.task(name="nop")
    def nop(number):
        return number

    nop.delay(0)
    return nop


@pytest.fixture
def program(path):
    """Start a program on the file; its text follows the prologue."""
    started = []

    def start(text):
        source = PROLOGUE + textwrap.dedent(text)
        process = subprocess.Popen(
            [sys.executable, "-c", source, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@contextmanager
def holding(path):
    """Hold the file in a transaction outside mainspring."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")


def has_turn(path):
    """Whether somebody holds mainspring's own lock on the file, and so waits for SQLite's."""
    with Path(f"{path}.run/pen.lock").open("rb+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def ids_in(path):
    """Return the ids in the store, and see that it is free to write."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN IMMEDIATE")
        live = "SELECT key, nonce FROM mainspring_jobs"
        tables = f"{live} UNION ALL SELECT key, nonce FROM mainspring_finished"
        return {f"{key}-{nonce:08x}" for key, nonce in connection.execute(tables).fetchall()}


@pytest.mark.parametrize("call", ["nop.map([(1,), (2,)])", "nop.delay(1)", "queue.pause('other')"])
def test_after_a_ctrl_c_in_a_wait_for_the_file_jobs_are_kept(path, program, until, call):
    process = program(f"""
        sys.stdin.readline()
        try:
            while True:
                {call}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        sys.stdin.readline()
        for number in range(3):
            print(nop.delay(number).id, flush=True)
        sys.stdin.readline()
    """)
    with holding(path):
        process.stdin.write("go\n")
        process.stdin.flush()
        until(lambda: has_turn(path))
        process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    ids_in(path)
    process.stdin.write("go\n")
    process.stdin.flush()
    acknowledged = [process.stdout.readline().strip() for _ in range(3)]
    assert set(acknowledged) <= ids_in(path)


def test_many_ctrl_c_beside_a_worker_wedge_neither_it_nor_the_program(path, program):
    process = program("""
        def work():
            while True:
                acknowledged.append(nop.delay(1))
                acknowledged[-1].result(timeout=10)
                acknowledged.extend(nop.map([(1,), (2,)]))

        acknowledged, rounds = [], 30
        with queue.worker():
            while rounds:
                try:
                    print("working", flush=True)
                    work()
                except KeyboardInterrupt:
                    rounds -= 1
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            results = [job.result(timeout=20) for job in acknowledged]
            print("done", len(results), nop.delay(7).result(timeout=20), flush=True)
        print(*(job.id for job in acknowledged), flush=True)
    """)
    while (line := process.stdout.readline()) == "working\n":
        process.send_signal(signal.SIGINT)
    assert line.startswith("done ")
    assert line.endswith(" 7\n")
    acknowledged = process.stdout.readline().split()
    assert process.wait(30) == 0
    assert set(acknowledged) <= ids_in(path)


class Alarm(Exception):
    """What a timeout raises in another thread."""


def interrupt(thread):
    """Raise an exception in another thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(Alarm)
    )


@pytest.fixture
def no_finalizers():
    """Keep the collector out of it: an exception that lands in a `__del__` reaches nobody."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_finalizers")
def test_exceptions_thrown_into_threads_that_enqueue_lose_and_wedge_nothing(path, nop, until):
    acknowledged, caught, over = [], [], threading.Event()

    def enqueue():
        while not over.is_set():
            acknowledged.append(nop.delay(1).id)
            acknowledged.extend([job.id for job in nop.map([(1,), (2,)])])

    def survive(work):
        while not over.is_set():
            try:
                work()
            except Alarm:
                caught.append(1)

    layers = enqueue
    for _ in range(4):  # one may come in the `except` of another
        layers = lambda work=layers: survive(work)  # noqa: E731
    threads = [threading.Thread(target=layers) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(90):
        before = len(caught)
        interrupt(threads[number % 3])
        until(lambda before=before: len(caught) > before)
    over.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert nop.delay(2).id in ids_in(path)
    assert set(acknowledged) <= ids_in(path)


def test_when_a_leader_is_interrupted_the_others_of_its_group_are_kept_once(
    path, nop, queue, until
):
    answers = {}

    def enqueue(number):
        try:
            answers[number] = nop.delay(number).id
        except Alarm:
            answers[number] = None

    threads = [threading.Thread(target=enqueue, args=(number,)) for number in range(5)]
    with holding(path):
        threads[0].start()
        until(lambda: has_turn(path))
        for thread in threads[1:]:
            thread.start()
        until(lambda: len(queue._store._session.intake._waiting) == len(threads))
        interrupt(threads[0])
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert answers.pop(0) is None
    assert set(answers.values()) <= ids_in(path)
    numbers = sorted(job.args[0] for job in queue.jobs())
    assert numbers in ([0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4])


def test_a_call_in_a_signal_handler_in_the_midst_of_another_is_refused_soon(queue, nop):
    refused = []

    def enqueue(*_):
        with pytest.raises(StoreBusy, match="this thread"):
            nop.delay(2)
        refused.append(1)

    before = signal.signal(signal.SIGUSR1, enqueue)
    try:
        with queue._store._session.writer:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert refused == [1]
    assert nop.delay(3).status == "pending"


def test_the_lock_of_a_thread_that_is_not_there_any_more_is_taken_over(queue, nop):
    writer = queue._store._session.writer
    leaving = threading.Thread(target=writer.__enter__)
    leaving.start()
    leaving.join()
    assert nop.delay(1).status == "pending"


def test_a_stopped_process_that_holds_the_file_is_named(path, program, queue, nop, until):
    process = program("""
        with queue._store._session.writer:
            os.kill(os.getpid(), signal.SIGSTOP)
    """)
    until(lambda: has_turn(path))
    until(lambda: os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))
    impatient = Queue(db_path=path, busy_timeout=0.3)
    named = f"process {process.pid}, which is stopped" if sys.platform == "linux" else "process"
    with pytest.raises(StoreBusy, match=named):
        impatient.task(name="nop")(print).delay(1)
    (lock,) = [one for one in queue.examine() if one.check == "lock"]
    assert lock.level == "problem"
    assert named in lock.says
    process.send_signal(signal.SIGCONT)
    assert process.wait(20) == 0
    assert nop.delay(1).status == "pending"
    impatient.close()


def test_a_plain_delay_in_the_thread_of_an_own_transaction_ends_in_time(path):
    queue = Queue(db_path=path, durability="normal", busy_timeout=0.3)
    nop = queue.task(name="nop")(print)
    nop.delay(0)
    with holding(path), pytest.raises(StoreBusy, match=r"outside mainspring.*conn="):
        nop.delay(1)
    assert nop.delay(1).id in ids_in(path)
    queue.close()
