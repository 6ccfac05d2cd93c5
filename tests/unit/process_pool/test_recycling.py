import os

import pool_bodies as bodies

MEBIBYTE = 1 << 20


def test_a_child_is_replaced_after_its_last_task(make_pool):
    pool = make_pool(max_tasks_per_child=2)
    pids = [pool.call(os.getpid) for _ in range(6)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
    assert len(set(pids)) == 3


def test_a_child_that_grew_too_large_is_replaced(make_pool):
    pool = make_pool(max_memory_per_child_bytes=150 * MEBIBYTE)
    small = pool.call(bodies.hoard, MEBIBYTE)
    large = pool.call(bodies.hoard, 200 * MEBIBYTE)
    assert small == large
    assert pool.call(os.getpid) != large


def test_a_replaced_child_ends_by_itself_and_is_no_death(make_pool, until, tmp_path):
    pool = make_pool(
        max_tasks_per_child=1, initializer=bodies.mark_at_exit, initargs=(str(tmp_path),)
    )
    pid = pool.call(os.getpid)
    until((tmp_path / str(pid)).exists)
    until(lambda: pool.status().ready == 2)
    assert pool.status().deaths == 0


def test_many_callers_with_one_task_a_child_all_get_their_answer(make_pool):
    pool = make_pool(2, max_tasks_per_child=1)
    futures = [pool.submit(os.getpid) for _ in range(20)]
    assert len({future.result(30) for future in futures}) == 20


def test_a_child_that_does_not_leave_is_killed(monkeypatch, make_pool, until):
    pool = make_pool(max_tasks_per_child=1, initializer=bodies.refuse_to_leave)
    monkeypatch.setattr(pool._supervisor, "_replaced_timeout", 0.2)
    pid = pool.call(os.getpid)
    until(lambda: all(child.pid != pid for child in pool._supervisor._children))
