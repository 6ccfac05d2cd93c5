import threading
import time

from mainspring.supervision.threads.idlers import IDLE_LIFE, Idlers


def gates(count):
    made = [threading.Lock() for _ in range(count)]
    for gate in made:
        gate.acquire()
    return made


def test_one_leads_to_the_first_moment_and_the_others_sleep_an_idle_life():
    idlers, (first, second) = Idlers(), gates(2)
    assert 5 < idlers.lie_down(first, [time.monotonic() + 6]) <= 6
    assert idlers.leader is first
    assert idlers.lie_down(second, [0.0]) == IDLE_LIFE
    assert len(idlers) == 2


def test_without_a_moment_nobody_leads_and_a_moment_gone_by_is_no_sleep():
    idlers, (first, second) = Idlers(), gates(2)
    assert idlers.lie_down(first, []) == IDLE_LIFE
    assert idlers.leader is None
    assert idlers.lie_down(second, [0.0]) == 0.0


def test_the_leader_is_woken_last():
    idlers, (leader, idle) = Idlers(), gates(2)
    idlers.lie_down(leader, [time.monotonic() + 60])
    idlers.lie_down(idle, [])
    assert idlers.wake_one()
    assert not idle.locked()
    assert leader.locked()
    assert idlers.wake_one()
    assert not leader.locked()
    assert not idlers.wake_one()
    assert len(idlers) == 0


def test_the_leader_is_left_asleep_for_a_moment_that_it_does_not_sleep_past():
    idlers, (leader,) = Idlers(), gates(1)
    moment = time.monotonic() + 60
    idlers.lie_down(leader, [moment])
    assert not idlers.wake_leader(sleeping_past=moment)
    assert leader.locked()
    assert idlers.wake_leader(sleeping_past=moment - 1)
    assert not leader.locked()
    assert idlers.leader is None


def test_who_gets_up_is_idle_no_more_and_learns_whether_it_was_woken_meanwhile():
    idlers, (leader, idle, woken) = Idlers(), gates(3)
    for gate in (leader, idle, woken):
        idlers.lie_down(gate, [time.monotonic() + 60])
    idlers.wake_one()
    assert idlers.get_up(leader)
    assert idlers.get_up(idle)
    assert len(idlers) == 0
    assert not idlers.get_up(woken)
    # Its gate is closed again: what woke it is used up.
    assert woken.locked()
