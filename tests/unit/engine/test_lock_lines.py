"""The lines of requests for locks in one process."""

from __future__ import annotations

from mainspring.engine.locks.line import LockLines
from mainspring.engine.locks.request import LockRequest


def request(name="a lock"):
    return LockRequest(name, lambda _: None)


def test_a_lock_is_not_asked_for_before_the_store_knows_of_its_last_holders_end():
    lines, first, second = LockLines(), request(), request()
    lines.add(first)
    lines.answered("a lock", 1)
    lines.end(first)
    lines.add(second)
    lines.ask_unless(())
    assert not lines.to_ask
    lines.released(first)
    assert list(lines.to_ask) == ["a lock"]


def test_another_lock_is_asked_for_meanwhile():
    lines, first = LockLines(), request()
    lines.add(first)
    lines.answered("a lock", 1)
    lines.end(first)
    lines.add(request("another"))
    assert list(lines.to_ask) == ["another"]


def test_who_waits_asks_at_once_for_a_lock_that_was_lost_before_its_release():
    lines, first = LockLines(), request()
    lines.add(first)
    lines.answered("a lock", 1)
    lines.end(first)
    lines.add(request())
    lines.lose()
    assert list(lines.to_ask) == ["a lock"]
