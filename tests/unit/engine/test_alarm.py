"""An alarm fires once at the moment it was set to."""

from __future__ import annotations

from mainspring.engine.alarm import Alarm


def test_it_is_not_due_before_it_is_set():
    assert Alarm().due(5.0) is None


def test_it_fires_at_its_moment_and_not_again():
    alarm = Alarm()
    alarm.set(7.0)
    assert alarm.due(5.0) == 2.0
    assert alarm.take(7.0) == ()
    assert alarm.due(8.0) is None


def test_what_is_set_during_a_run_holds_for_the_next():
    alarm = Alarm(1.0)
    alarm.take(1.0)
    alarm.set(9.0)
    alarm.done(2.0)
    assert alarm.due(2.0) == 7.0


def test_setting_waking_and_closing_end_the_drivers_sleep():
    woken = []
    alarm = Alarm()
    alarm.bind(lambda: woken.append(alarm.due(3.0)))
    alarm.set(4.0)
    alarm.wake()
    alarm.close()
    assert woken == [1.0, -3.0, -3.0]
    assert alarm.closed
