"""Who waits for whom in one worker: what a wait costs, and what is kept of it."""

from __future__ import annotations

import logging

import pytest

from mainspring.engine.attempts.running import Awaited
from mainspring.engine.attempts.waits import MOST_BODIES, Wait, Waits


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [one.getMessage() for one in caplog.records]


def wait_of(waiting, awaited, *, slots="thread", of="thread", pending=True, live=lambda: True):
    return Wait(waiting, "parent", slots, Awaited(awaited, "child", of, pending), live)


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("of", ["thread", "async"])
def test_a_body_that_waits_for_many_jobs_is_looked_for_a_few_times(slots, of):
    looks = []

    def live():
        looks.append(1)
        return True

    waits = Waits(lambda kind: slots if kind == "thread" else 100)
    for number in range(1000):
        waits.begin(wait_of("1-a", f"{number}-b", of=of, live=live))
    assert len(looks) < 10
    assert len(waits.now()) == 1000


def test_a_body_that_waits_for_many_jobs_in_vain_is_warned_of_once(warnings):
    waits = Waits(lambda _: 1)
    for number in range(10):
        waits.begin(wait_of("1-a", f"{number}-b"))
    assert len(warnings()) == 1
    assert "job 1-a" in warnings()[0]


def test_a_later_wait_in_vain_is_warned_of_again(warnings):
    waits = Waits(lambda _: 1)
    for number in range(2):
        with waits.noted(wait_of("1-a", f"{number}-b")):
            pass
    assert len(warnings()) == 2


def test_the_last_slot_that_begins_to_wait_is_warned_of(warnings):
    waits = Waits(lambda _: 2)
    for number in range(5):
        waits.begin(wait_of("1-a", f"{number}-b"))
    assert warnings() == []
    waits.begin(wait_of("2-a", "9-b"))
    assert "job 2-a" in warnings()[0]


def test_two_bodies_that_wait_for_each_other_are_warned_of(warnings):
    waits = Waits(lambda _: 2)
    waits.begin(wait_of("1-a", "2-a", pending=False))
    waits.begin(wait_of("2-a", "1-a", pending=False))
    assert "job 2-a" in warnings()[0]


def test_nothing_is_kept_of_bodies_that_have_ended():
    waits, ended = Waits(lambda _: 4), set()
    for number in range(10 * MOST_BODIES):
        body = f"{number}-a"
        wait = wait_of(body, "1-b", of="async", live=lambda body=body: body not in ended)
        with waits.noted(wait):
            pass
        ended.add(body)
    assert len(waits._bodies) <= 2 * MOST_BODIES


def test_a_wait_that_a_body_left_behind_ends_with_it():
    waits, lives = Waits(lambda _: 1), [True]
    waits.begin(wait_of("1-a", "1-b", live=lambda: lives[0]))
    assert len(waits.now()) == 1
    lives.clear()
    lives.append(False)
    assert waits.now() == []
