import operator
import os
import signal
import sys
import time

import pool_bodies as bodies
import pytest

from mainspring.errors import ChildDied
from mainspring.processes.child import Child


def test_an_exit_behind_pythons_back_costs_the_call_and_tells_the_code(pool):
    with pytest.raises(ChildDied, match=r"'_exit' lost .* child \d+ exited with code 3") as caught:
        pool.call(os._exit, 3)
    assert caught.value.code == 3
    assert pool.call(operator.add, 1, 1) == 2


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"])
def test_a_signal_costs_the_call_and_is_named(pool, name):
    number = getattr(signal, name)
    with pytest.raises(ChildDied, match=name) as caught:
        pool.call(bodies.die_by, number)
    assert caught.value.code == -number
    assert pool.call(operator.add, 1, 1) == 2


def test_a_death_touches_no_other_call(make_pool, tmp_path, until):
    pool = make_pool(3)
    others = [
        pool.submit(bodies.mark_and_wait, str(tmp_path / str(n)), str(tmp_path / "go"))
        for n in range(2)
    ]
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    for _ in range(5):
        with pytest.raises(ChildDied):
            pool.call(os._exit, 1)
    (tmp_path / "go").touch()
    assert len({other.result(5) for other in others}) == 2


def test_the_spare_takes_a_dead_childs_place_at_once(pool, until):
    pool.start()
    until(lambda: pool.status().ready == 2)
    with pytest.raises(ChildDied):
        pool.call(os._exit, 1)
    began = time.monotonic()
    pool.call(operator.add, 1, 1)
    assert time.monotonic() - began < 0.4  # no start has that little time on a busy machine


def test_a_child_killed_while_idle_is_replaced_unasked(pool, until):
    pool.start()
    until(lambda: pool.status().ready == 2)
    child = pool._free._ready[-1]
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: pool.status().deaths == 1 and pool.status().ready == 2)
    assert pool.call(os.getpid) != child.pid


def test_a_call_that_meets_a_dead_child_runs_in_another(make_pool, until, monkeypatch):
    pool = make_pool()
    until(lambda: pool.call(os.getpid) and pool.status().ready == 2)
    met = []
    run = Child.run

    def run_late(child, request):
        if not met:
            met.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            child.ended.wait(5)
        return run(child, request)

    monkeypatch.setattr(Child, "run", run_late)
    assert pool.call(os.getpid) not in met


@pytest.mark.skipif(sys.platform != "linux", reason="tells an unread request only here")
def test_a_request_that_its_child_did_not_read_runs_in_another(pool, monkeypatch):
    pool.call(os.getpid)
    met = []
    send, receive = Child._send, Child._receive

    def send_to_a_stopped_child(child, request):
        if not met:
            os.kill(child.pid, signal.SIGSTOP)
        send(child, request)

    def receive_from_a_killed_child(child, request):
        if not met:
            met.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return receive(child, request)

    monkeypatch.setattr(Child, "_send", send_to_a_stopped_child)
    monkeypatch.setattr(Child, "_receive", receive_from_a_killed_child)
    assert pool.call(os.getpid) not in met


def test_a_request_that_ends_every_child_that_reads_it_is_given_up(make_pool):
    pool = make_pool(initializer=bodies.have_no_memory_for_large_requests)
    with pytest.raises(ChildDied, match=r"'len' lost .* child \d+ exited with code 1"):
        pool.call(len, b"x" * 1_000_000, timeout=60)
    assert pool.call(operator.add, 1, 1) == 2


def test_a_body_that_closes_the_connection_is_told_so(pool, monkeypatch):
    monkeypatch.setattr("mainspring.processes.child._EXIT_PATIENCE", 0.3)
    with pytest.raises(ChildDied, match=r"child \d+ closed its connection, and was killed"):
        pool.call(bodies.close_all_descriptors)


def test_a_stream_that_a_body_leaves_behind_and_that_raises_costs_no_call(make_pool):
    pool = make_pool(spare=0)
    before = pool.call(os.getpid)
    assert pool.call(bodies.leave_a_broken_stream, 3) == 3
    assert pool.call(os.getpid) == before


def test_deaths_are_noticed_where_the_system_does_not_tell(make_pool, until, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    pool = make_pool()
    with pytest.raises(ChildDied, match="code 3"):
        pool.call(os._exit, 3)
    until(lambda: pool.status().ready == 2)
    idle = pool._free._ready[-1].pid
    os.kill(idle, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: pool.status().deaths == 2)
    assert time.monotonic() - began < 0.5
    assert pool.call(os.getpid) != idle


@pytest.mark.parametrize(
    "body", [bodies.leave_a_fork_behind_and_die, bodies.leave_a_hidden_fork_behind_and_die]
)
def test_a_fork_that_a_body_leaves_behind_does_not_hide_the_death(pool, tmp_path, body):
    pid_file = tmp_path / "pid"
    pool.call(os.getpid)
    began = time.monotonic()
    try:
        with pytest.raises(ChildDied, match="code 7"):
            pool.call(body, str(pid_file))
        assert time.monotonic() - began < 5
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_a_fork_that_returns_from_the_body_does_not_answer_too(pool, tmp_path):
    assert pool.call(bodies.answer_twice, str(tmp_path / "pid")) == "parent"
    assert pool.call(operator.add, 1, 1) == 2
