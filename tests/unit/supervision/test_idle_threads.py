import threading
import time

from mainspring.supervision.threads.idle_threads import IDLE_LIFE, IdleThreads


def gates(count):
    made = [threading.Lock() for _ in range(count)]
    for gate in made:
        gate.acquire()
    return made


def test_one_leads_to_the_first_moment_and_the_others_sleep_an_idle_life():
    idle_threads, (first, second) = IdleThreads(), gates(2)
    idle_threads.add(first, [time.monotonic() + 6])
    idle_threads.add(second, [0.0])
    assert idle_threads.leader is first
    assert 5 < idle_threads.seconds(first) <= 6
    assert idle_threads.seconds(second) == IDLE_LIFE
    assert len(idle_threads) == 2


def test_without_a_moment_nobody_leads_and_a_moment_gone_by_is_no_sleep():
    idle_threads, (first, second) = IdleThreads(), gates(2)
    idle_threads.add(first, [])
    assert idle_threads.leader is None
    assert idle_threads.seconds(first) == IDLE_LIFE
    idle_threads.add(second, [0.0])
    assert idle_threads.seconds(second) == 0.0


def test_the_leader_is_woken_last():
    idle_threads, (leader, idle) = IdleThreads(), gates(2)
    idle_threads.add(leader, [time.monotonic() + 60])
    idle_threads.add(idle, [])
    assert idle_threads.wake_one()
    assert not idle.locked()
    assert leader.locked()
    assert idle_threads.wake_one()
    assert not leader.locked()
    assert not idle_threads.wake_one()
    assert len(idle_threads) == 0


def test_the_leader_is_left_asleep_for_a_moment_that_it_does_not_sleep_past():
    idle_threads, (leader,) = IdleThreads(), gates(1)
    moment = time.monotonic() + 60
    idle_threads.add(leader, [moment])
    assert not idle_threads.wake_leader(sleeping_past=moment)
    assert leader.locked()
    assert idle_threads.wake_leader(sleeping_past=moment - 1)
    assert not leader.locked()
    assert idle_threads.leader is None


def test_who_gets_up_is_idle_no_more_and_learns_whether_it_was_woken_meanwhile():
    idle_threads, (leader, idle, woken) = IdleThreads(), gates(3)
    for gate in (leader, idle, woken):
        idle_threads.add(gate, [time.monotonic() + 60])
    idle_threads.wake_one()
    assert idle_threads.remove(leader)
    assert idle_threads.remove(idle)
    assert len(idle_threads) == 0
    assert not idle_threads.remove(woken)
    # Its gate is closed again: what woke it is used up.
    assert woken.locked()
