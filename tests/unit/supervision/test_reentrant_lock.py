import threading

import pytest

from mainspring.supervision.threads.reentrant_lock import ReentrantLock


def test_a_step_in_the_middle_of_another_is_taken_at_its_end():
    section, taken = ReentrantLock(), []

    def outer():
        section.take(inner, "first")
        section.take(inner, "second")
        taken.append("outer")

    def inner(what):
        taken.append(what)

    section.take(outer)
    assert taken == ["outer", "first", "second"]
    section.take(inner, "later")
    assert taken[-1] == "later"


def test_a_step_that_raises_is_told_and_holds_up_none():
    section, taken = ReentrantLock(), []

    def fail():
        section.take(taken.append, "left")
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        section.take(fail)
    assert taken == ["left"]
    section.take(taken.append, "next")
    assert taken == ["left", "next"]


def test_another_thread_waits_for_the_step_to_end():
    section, taken, inside = ReentrantLock(), [], threading.Event()

    def other():
        inside.set()
        taken.append("other")

    thread = threading.Thread(target=section.take, args=(other,))

    def outer():
        thread.start()
        assert not inside.wait(0.05)
        taken.append("outer")

    section.take(outer)
    thread.join(10)
    assert taken == ["outer", "other"]
