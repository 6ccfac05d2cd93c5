"""What SqliteStore does when threads, processes and other programs use the file as well."""

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mainspring.errors import DuplicateJob, StoreBusy
from mainspring.model.job import NewJob, Want
from mainspring.stores.sql import forks
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.connections import writer
from mainspring.stores.sqlite.connections.writer import Writer
from mainspring.stores.sqlite.file import log
from mainspring.stores.sqlite.file.database import WAL_CAP_BYTES, wait
from mainspring.stores.sqlite.file.write_lock import WriteLock
from mainspring.stores.wake import socket_folder
from mainspring.stores.wake.socket_folder import SocketFolder
from mainspring.stores.wake.socket_listener import SocketListener

JOB = NewJob(task="task", queue="queue", payload=b"[[],{}]")
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
ALL = [Want(tasks=("task",), queues=None, limit=100)]


def test_threads_that_enqueue_at_once_share_commits(store):
    store.enqueue_many([JOB])
    commits = []
    store._session.writer._log.committed = commits.append
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: store.enqueue_many([JOB] * 2), range(400)))
    ids = {job_id for answer in answers for job_id in answer}
    assert len(ids) == 800
    assert len(commits) <= 400
    assert store.stats()["queue"]["pending"] == 801


def test_threads_that_wait_for_a_commit_are_committed_together(store, until):
    store.enqueue_many([JOB])
    intake, groups = store._session.intake, []
    commit = intake._commit

    def watched(group, leader):
        groups.append(len(group))
        commit(group, leader)

    intake._commit = watched
    with ThreadPoolExecutor(8) as threads:
        with store._session.writer:
            first = threads.submit(store.enqueue_many, [JOB])
            until(lambda: groups, 30)
            others = [threads.submit(store.enqueue_many, [JOB]) for _ in range(7)]
            until(lambda: len(intake._waiting) == 8, 30)
        assert len({job_id for done in (first, *others) for job_id in done.result(30)}) == 8
    assert groups == [1, 7]


def test_a_refused_batch_refuses_none_of_those_that_share_its_commit(store, until):
    (first,) = store.enqueue_many([replace(JOB, unique="k")])
    intake, groups = store._session.intake, []
    commit = intake._commit

    def watched(group, leader):
        groups.append(len(group))
        commit(group, leader)

    intake._commit = watched
    refused = [JOB, replace(JOB, unique="fresh"), replace(JOB, unique="k", on_conflict="raise")]
    others = [[JOB], [replace(JOB, unique="k")], [JOB] * 2, [replace(JOB, unique="fresh")]]
    with ThreadPoolExecutor(8) as threads:
        with store._session.writer:
            leader = threads.submit(store.enqueue_many, [JOB])
            until(lambda: groups, 30)
            told = [threads.submit(store.enqueue_many, jobs) for jobs in [refused, *others]]
            until(lambda: len(intake._waiting) == 6, 30)
        with pytest.raises(DuplicateJob):
            told[0].result(30)
        ids = [leader.result(30), *(one.result(30) for one in told[1:])]
    assert groups == [1, 5]
    assert ids[2] == [first]
    kept = {job_id for answer in ids for job_id in answer}
    assert len(kept) == 6
    assert store.stats()["queue"]["pending"] == 6
    assert None not in [store.get(job_id) for job_id in kept]


def test_a_commit_that_fails_fails_for_all_that_shared_it(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db", busy_timeout=0.3)
    store.enqueue_many([JOB])
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(store.enqueue_many, [JOB]) for _ in range(4)]
        assert {type(one.exception(30)) for one in waiting} == {StoreBusy}
    other.execute("ROLLBACK")
    other.close()
    assert len(store.enqueue_many([JOB])) == 1
    assert store.stats()["queue"]["pending"] == 2
    store.close()


def test_another_programs_transaction_is_waited_for_and_named(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db", busy_timeout=0.2)
    store.enqueue_many([JOB])
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="outside mainspring"):
        store.enqueue_many([JOB])
    other.execute("COMMIT")
    other.close()
    assert store.enqueue_many([JOB])
    store.close()


def test_all_that_a_writer_waits_for_has_one_time(store, monkeypatch):
    store.stats()
    waiting, waited = threading.Event(), []
    acquire, lock = Writer._acquire, WriteLock.acquire

    def waits_for_a_thread(writer, patience):
        waiting.set()
        return acquire(writer, patience)

    def waits_for_a_process(write_lock, timeout):
        waited.append(timeout)
        return lock(write_lock, timeout)

    monkeypatch.setattr(Writer, "_acquire", waits_for_a_thread)
    with ThreadPoolExecutor(1) as threads:
        with store._session.writer:
            monkeypatch.setattr(WriteLock, "acquire", waits_for_a_process)
            second = threads.submit(store.pause, "queue")
            assert waiting.wait(20)
        assert second.result(20)
    assert [timeout < store._file.busy_timeout for timeout in waited] == [True]


@pytest.mark.parametrize("gone", ["", "pen.lock"])
def test_processes_take_turns_also_when_their_locks_were_removed(path, store, monkeypatch, gone):
    monkeypatch.setattr(writer, "LOOK_EVERY_SECONDS", 0.0)
    store.enqueue_many([JOB])
    if gone:
        (store.run_dir / gone).unlink()
    else:
        shutil.rmtree(store.run_dir)
    other = SqliteStore(path, busy_timeout=0.2)  # with locks of its own, as another process
    other.stats()
    holder = rf"\(process {os.getpid()}" if has_table() else "another process"
    with store._session.writer, pytest.raises(StoreBusy, match=holder):
        other.pause("queue")
    other.close()


def test_a_wait_of_a_year_is_a_wait(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db", busy_timeout=365 * 86_400)
    store.stats()
    with store._session.writer as connection:
        wait(connection, store._file.busy_timeout)
        (writer_waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
    with store._session.readers.lend() as connection:
        (reader_waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
    assert min(writer_waits, reader_waits) > 20 * 86_400_000
    store.close()


def test_a_writer_that_was_stopped_does_not_hang_the_others(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db", busy_timeout=0.2)
    store.enqueue_many([JOB])
    with (store.run_dir / "pen.lock").open() as pen:
        fcntl.flock(pen, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy, match=f"process {os.getpid()}" if has_table() else "process"):
            store.enqueue_many([JOB])
    assert store.enqueue_many([JOB])
    store.close()


def has_table():
    return os.path.exists("/proc/locks")  # noqa: PTH110


@FORKS
def test_a_forked_child_uses_the_store_and_the_parent_goes_on(store):
    store.enqueue_many([JOB])
    store.stats()
    listener = store.listen("ready")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if len(store.enqueue_many([JOB])) == 1 else 1)
        except BaseException:  # noqa: BLE001  # a child must not go on with the tests
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert listener.wait(30) is not None
    store.enqueue_many([JOB])
    assert store.stats()["queue"]["pending"] == 3
    listener.close()


@FORKS
def test_a_fork_while_other_threads_enqueue_hangs_nobody(store, until):
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            store.enqueue_many([JOB])

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(busy) for _ in range(4)]
        until(lambda: store.stats().get("queue", {}).get("pending", 0) > 10, 30)
        for _ in range(5):
            child = os.fork()
            if child == 0:
                try:
                    store.enqueue_many([JOB])
                    os._exit(0)
                except BaseException:  # noqa: BLE001  # a child must not go on with the tests
                    os._exit(2)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for one in running:
            one.result(30)
    connection = sqlite3.connect(store._file.path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_who_enqueues_in_the_midst_of_its_own_fork_is_refused_and_holds_up_nobody(store, until):
    store.enqueue_many([JOB])
    session = store._session
    with ThreadPoolExecutor(2) as threads:
        session.suspend()  # as at a fork, in whose midst a signal handler enqueues
        try:
            with pytest.raises(StoreBusy, match="this thread, which was interrupted"):
                store.enqueue_many([JOB])
            other = threads.submit(store.enqueue_many, [JOB])
            until(lambda: session.intake._waiting, 30)
            with pytest.raises(StoreBusy, match="this thread, which was interrupted"):
                store.enqueue_many([JOB])
        finally:
            session.resume()
        assert len(other.result(30)) == 1
    assert store.stats()["queue"]["pending"] == 2


def test_an_exception_in_the_hook_before_a_fork_leaves_nothing_open(store, monkeypatch):
    store.enqueue_many([JOB])
    writer, failures = store._session.writer, [KeyboardInterrupt()]
    close = writer._close_connection

    def interrupted():
        if failures:
            raise failures.pop()
        close()

    monkeypatch.setattr(writer, "_close_connection", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forks._before_fork()
    assert (writer._connection, writer._write_lock) == (None, None)
    forks._after_fork()
    with ThreadPoolExecutor(1) as threads:
        assert len(threads.submit(store.enqueue_many, [JOB]).result(30)) == 1


def test_an_exception_in_the_hook_after_a_fork_leaves_no_store_closed(store, monkeypatch):
    store.enqueue_many([JOB])
    session, resume, failures = store._session, store._session.resume, [KeyboardInterrupt()]

    def interrupted():
        if failures:
            raise failures.pop()
        resume()

    monkeypatch.setattr(session, "resume", interrupted)
    forks._before_fork()
    with pytest.raises(KeyboardInterrupt):
        forks._after_fork()
    with ThreadPoolExecutor(1) as threads:
        assert len(threads.submit(store.enqueue_many, [JOB]).result(30)) == 1


CLAIMER = """
import sys
from mainspring.model.job import Outcome, OutcomeKind, Want
from mainspring.stores.sqlite import SqliteStore

store = SqliteStore(sys.argv[1], durability="normal")
node = store.join(sys.argv[2], host="host", pid=1, lease=60)
outcomes = []
while True:
    exchanged = store.exchange(node, outcomes, [Want(("task",), None, 7)])
    assert all(exchanged.accepted)
    if not exchanged.claims:
        break
    for claim in exchanged.claims:
        print(claim.id, claim.fence)
    outcomes = [
        Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=b"1")
        for claim in exchanged.claims
    ]
"""


def test_claiming_processes_take_each_job_once_and_never_find_it_locked(store):
    job_ids = store.enqueue_many([JOB] * 3000)
    command = [sys.executable, "-c", CLAIMER, str(store._file.path)]
    processes = [
        subprocess.Popen([*command, f"n{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(4)
    ]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [error for _, error in outputs] == [b""] * 4
    claimed = [line.decode() for output, _ in outputs for line in output.splitlines()]
    assert sorted(claimed) == sorted(f"{job_id} 1" for job_id in job_ids)
    assert store.stats()["queue"]["completed"] == 3000


def test_a_commit_in_another_process_wakes_a_sleeper(store):
    store.enqueue_many([JOB])
    listener = store.listen("ready")
    code = (
        "import sys; from mainspring.stores.sqlite import SqliteStore as S;"
        "from mainspring.model.job import NewJob as J;"
        "S(sys.argv[1]).enqueue_many([J(task='t', queue='q', payload=b'1')])"
    )
    subprocess.run([sys.executable, "-c", code, str(store._file.path)], check=True, timeout=60)
    assert listener.wait(30) is not None
    listener.close()


def test_a_commit_that_rings_nobody_is_found_by_the_net(store):
    store.enqueue_many([JOB])
    listener = store.listen("ready")
    other = sqlite3.connect(store._file.path, isolation_level=None)
    other.execute("UPDATE mainspring_jobs SET priority = 1")
    other.close()
    assert listener.wait(30) is not None
    listener.close()


def test_a_dead_listeners_socket_is_removed(store, until):
    store.enqueue_many([JOB])
    code = (
        "import os, sys; from mainspring.stores.sqlite import SqliteStore as S;"
        "S(sys.argv[1]).listen('ready'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(store._file.path)], check=True, timeout=60)
    assert len(sockets(store)) == 1
    until(lambda: store.enqueue_many([JOB]) and not sockets(store), 30)


def test_a_new_listener_removes_the_sockets_of_dead_ones_of_any_topic(store, monkeypatch):
    store.enqueue_many([JOB])
    live = store.listen("orders")
    monkeypatch.setattr(socket_folder, "BINDING_SECONDS", 0.0)
    monkeypatch.chdir(store._file.sockets_dir)  # a socket's path must be short
    for topic in ("ready", "ended", "orders"):
        left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.bind(f"{topic}-left")
        left.close()
    assert len(sockets(store)) == 4
    listener = store.listen("ready")
    assert len(sockets(store)) == 2
    live.close()
    listener.close()


def test_listeners_leave_no_socket_behind(store):
    store.enqueue_many([JOB])
    first, last = store.listen("ready"), store.listen("ended")
    assert len(sockets(store)) == 2
    first.close()
    last.close()
    assert sockets(store) == []


def sockets(store):
    return [path for path in store._file.sockets_dir.iterdir() if path.is_socket()]


def test_listeners_that_come_and_go_at_once_all_hear(store):
    store.enqueue_many([JOB])

    def come_and_go(_):
        listener = store.listen("ready")
        bound = (store._file.sockets_dir / listener._name).is_socket()
        listener.close()
        return bound

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(come_and_go, range(400)))


def test_the_log_stays_short(store):
    for _ in range(60):
        store.enqueue_many([JOB] * 2000)
        store.purge(completed_after=9, failed_after=9, limit=9)
    assert store._file.wal.stat().st_size < 3 * store._session.writer._log._fold_bytes


def test_a_reader_keeps_the_log_long_only_while_it_reads(store):
    store.enqueue_many([JOB])
    reader = sqlite3.connect(store._file.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM mainspring_jobs").fetchone()
    store._session.writer._log._fold_bytes = store._session.writer._log._fold_at_bytes = 1 << 22
    for _ in range(100):
        store.enqueue_many([JOB] * 3000)
    assert store._file.wal.stat().st_size > 2 * store._session.writer._log._fold_bytes
    reader.execute("COMMIT")
    reader.close()
    store.purge(completed_after=9, failed_after=9, limit=9)
    grown = store._file.wal.stat().st_size
    store.enqueue_many([JOB] * 100)
    assert store._file.wal.stat().st_size <= grown
    assert not log.reaches(store._file.wal, log.FOLD_BYTES)


def test_delayed_and_foreign_jobs_cost_a_claim_nothing(store):
    store.enqueue_many([NewJob(task="task", queue="queue", payload=b"1", delay=3600)] * 20_000)
    store.enqueue_many([NewJob(task="foreign", queue="queue", payload=b"1")] * 20_000)
    (job_id,) = store.enqueue_many([JOB])
    node = store.join("node", host="host", pid=1, lease=60)
    steps = []
    connection = store._session.writer._connection
    connection.set_progress_handler(lambda: steps.append(1) and None, 100)
    assert [claim.id for claim in store.claim(node, ALL)] == [job_id]
    connection.set_progress_handler(None, 0)
    assert len(steps) < 50


@pytest.mark.parametrize(
    "writes",
    [6_000, pytest.param(50_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])],
)
def test_after_a_long_reader_the_log_is_back_under_its_cap(store, writes):
    store.enqueue_many([JOB])
    reader = sqlite3.connect(store._file.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM mainspring_jobs").fetchone()
    large = NewJob(task="task", queue="queue", payload=b'[["' + b"x" * 9_000 + b'"],{}]')
    for number in range(writes):
        store.enqueue_many([large if number % 2 else JOB])
    assert store._file.wal.stat().st_size > WAL_CAP_BYTES
    reader.execute("COMMIT")
    reader.close()
    # Within the step after which a log that somebody kept is folded again, and nobody's purge.
    for _ in range(2 * log.FOLD_BYTES // len(large.payload)):
        store.enqueue_many([large])
    assert store._file.wal.stat().st_size <= WAL_CAP_BYTES


# Each claims and refills as fast as it can, from a common start to a common end.
CROWD = """
import sys, time
from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.sqlite import SqliteStore

store = SqliteStore(sys.argv[1], durability="normal")
node = store.join(sys.argv[2], host="host", pid=1, lease=600)
print("here", flush=True)
seconds = float(sys.stdin.readline())
until = time.monotonic() + seconds
done, outcomes = 0, []
while time.monotonic() < until:
    exchanged = store.exchange(node, outcomes, [Want(("task",), None, 4)])
    done += sum(exchanged.accepted)
    assert exchanged.claims, "there is work for all"
    outcomes = [
        Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=b"1")
        for claim in exchanged.claims
    ]
    store.enqueue_many([NewJob("task", "queue", b"1")] * len(outcomes))
done += sum(store.finish_many(node, outcomes))
print(done, flush=True)
"""


@pytest.mark.parametrize(
    "seconds", [2.0, pytest.param(30.0, marks=[pytest.mark.long, pytest.mark.timeout(240)])]
)
def test_sixteen_claimers_never_find_it_locked_and_each_gets_its_share(store, seconds):
    store.enqueue_many([JOB] * 1000)
    command = [sys.executable, "-c", CROWD, str(store._file.path)]
    crowd = [
        subprocess.Popen(
            [*command, f"n{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(16)
    ]
    assert [process.stdout.readline() for process in crowd] == ["here\n"] * 16
    for process in crowd:
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
    told = [process.communicate(timeout=seconds + 60) for process in crowd]
    assert [error for _, error in told] == [""] * 16
    done = [int(line) for line, _ in told]
    assert store.stats()["queue"]["completed"] == sum(done)
    # In two seconds of a busy machine each has a few turns only, of which none may be a fair share.
    assert min(done) > (sum(done) / 16 / 2 if seconds > 10 else 0), done


def test_who_takes_orders_sleeps_without_a_look(store, monkeypatch, until):
    store.enqueue_many([JOB])
    looks = []
    monkeypatch.setattr(SocketListener, "_sleep", watched(SocketListener._sleep, looks))
    orders = store.listen("orders")
    assert orders.wait(0.5) is None
    assert len(looks) == 1
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(orders.wait, 60)
        until(lambda: len(looks) == 2, 30)
        orders.close()
        assert waiting.result(30) is None


def watched(method, calls):
    def call(listener, seconds):
        calls.append(seconds)
        return method(listener, seconds)

    return call


def test_without_a_socket_who_takes_orders_can_still_be_stopped(store, monkeypatch):
    store.enqueue_many([JOB])
    monkeypatch.setattr(SocketFolder, "bind", lambda *_: False)
    orders = store.listen("orders")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(orders.wait, 60)
        orders.poke()
        assert waiting.result(30) is None
        waiting = threads.submit(orders.wait, 60)
        orders.close()
        assert waiting.result(30) is None


def test_a_long_log_is_folded_although_somebody_reads(store, monkeypatch):
    monkeypatch.setattr(log, "PATIENT_BYTES", 4096)
    monkeypatch.setattr(log, "PATIENCE_SECONDS", 20.0)
    folding, set_wait = threading.Event(), log.wait

    def wait_and_tell(connection, seconds):
        set_wait(connection, seconds)
        folding.set()

    monkeypatch.setattr(log, "wait", wait_and_tell)
    store.enqueue_many([JOB] * 200)
    reader = sqlite3.connect(store._file.path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM mainspring_jobs").fetchall()
    store.enqueue_many([JOB] * 200)
    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(lambda: folding.wait(20) and reader.execute("COMMIT"))
        store._session.writer.fold_log()
        assert ended.result(20)
    reader.close()
    folds = store._session.writer._log
    assert folds._fold_at_bytes == folds._fold_bytes, "somebody has kept it"


@pytest.mark.parametrize(("patient_bytes", "patience"), [(1 << 30, 0.0), (4096, 0.1)])
def test_only_a_long_log_makes_a_fold_wait(store, monkeypatch, patient_bytes, patience):
    monkeypatch.setattr(log, "PATIENT_BYTES", patient_bytes)
    waited = []
    monkeypatch.setattr(log, "wait", lambda _, seconds: waited.append(seconds))
    store.enqueue_many([JOB] * 200)
    store._session.writer.fold_log()
    assert waited == [patience]
