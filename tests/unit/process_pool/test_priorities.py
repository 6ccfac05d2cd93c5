"""Calls of several priorities in a process pool with reserves."""

import pool_bodies as bodies
import pytest

from mainspring import (
    TASK_CRITICAL,
    TASK_HIGH,
    TASK_LOW,
    TASK_NORMAL,
    TT_MP,
    TaskSupervisor,
    background_task,
    wait_completed,
)
from mainspring.errors import InvalidOption

LEVELS = {"low": TASK_LOW, "normal": TASK_NORMAL, "high": TASK_HIGH, "critical": TASK_CRITICAL}


@pytest.fixture
def hold(make_pool, tmp_path, until):
    """Submit calls that last until `go` is there; each writes its name when it begins."""
    pool = make_pool(1, reserve_normal=1, reserve_high=1, spare=1)
    pool.start()
    until(lambda: pool.status().ready == 4)

    def submit(name, level):
        mark, go = str(tmp_path / name), str(tmp_path / f"go-{name}")
        return pool.submit_at(LEVELS[level], bodies.mark_and_wait, mark, go)

    submit.began = lambda: {one.name for one in tmp_path.iterdir() if "go" not in one.name}
    submit.go = lambda name: (tmp_path / f"go-{name}").touch()
    submit.pool = pool
    return submit


def test_each_priority_uses_its_share_and_a_critical_call_takes_a_spare(hold, until):
    began, futures = set(), []
    for level in ("low", "normal", "high"):
        futures += [hold(level, level)]
        began.add(level)
        until(lambda: hold.began() == began)
        futures += [hold(f"{level} too many", level)]
    assert hold.pool.status().waiting == 3
    futures.append(hold("critical", "critical"))
    until(lambda: hold.began() == {*began, "critical"})
    for name in (*began, *(f"{level} too many" for level in began), "critical"):
        hold.go(name)
    for future in futures:
        future.result(20)


def test_the_most_urgent_of_those_that_wait_goes_first(hold, until):
    first = [hold(f"first {number}", "high") for number in range(3)]
    until(lambda: len(hold.began()) == 3)
    waiting = [hold(level, level) for level in ("low", "normal", "high")]
    hold.go("first 0")
    until(lambda: len(hold.began()) == 4)
    assert "high" in hold.began()
    for name in ("first 1", "first 2", "high", "normal", "low"):
        hold.go(name)
    for future in (*first, *waiting):
        future.result(20)


@pytest.mark.parametrize("priority", ["high", 1.5, None])
def test_a_priority_that_is_no_number_is_refused_and_the_pool_goes_on(pool, priority):
    with pytest.raises(InvalidOption, match="priority"):
        pool.submit_at(priority, bodies.add, 1)
    assert pool.submit(bodies.add, 1).result(20) == 1


@pytest.mark.parametrize("reserve", [{"reserve_normal": -1}, {"reserve_high": "1"}])
def test_reserves_that_make_no_sense_are_named(reserve):
    with pytest.raises(InvalidOption, match=next(iter(reserve))):
        TaskSupervisor("reserves").set_mp_pool(pool_size=1, **reserve)


def test_a_supervisors_pool_has_the_reserves_and_tasks_their_priority():
    supervisor = TaskSupervisor("reserves")
    supervisor.set_mp_pool(pool_size=1, reserve_normal=2, reserve_high=3)
    with supervisor:
        start = background_task(bodies.add, tt=TT_MP, priority=TASK_HIGH, supervisor=supervisor)
        assert wait_completed(start(1, 2), 20) == 3
        sizes = supervisor.get_info()["pools"]["processes"]
    assert (sizes["size"], sizes["reserve_normal"], sizes["reserve_high"]) == (1, 2, 3)
