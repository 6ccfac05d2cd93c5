"""Background workers with an interval, a delay or a cron rule."""

import threading
import time
from itertools import pairwise

import pytest


def test_start_overrides_the_pace(make, until):
    runs = []
    worker = make(lambda **k: runs.append(1), interval=3600)
    worker.start(_interval=0.001)
    until(lambda: len(runs) > 5)
    worker.restart(_delay=0.001)
    runs.clear()
    until(lambda: len(runs) > 5)


def test_an_interval_does_not_drift(make, until):
    runs = []

    def work(**kwargs):
        runs.append(time.monotonic())
        time.sleep(0.005)

    worker = make(work, interval=0.02)
    worker.start()
    until(lambda: len(runs) >= 30)
    worker.stop()
    # On a loaded machine a tick may be late, and even be coalesced; the grid must not move.
    phases = [one % 0.02 for one in runs]
    together = max(sum((other - one) % 0.02 < 0.008 for other in phases) for one in phases)
    assert len(runs) <= (runs[-1] - runs[0]) / 0.02 + 2
    assert together > len(runs) / 2


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [(0.6, 0.01), pytest.param(20.0, 0.05, marks=pytest.mark.long, id="the literal one")],
)
def test_there_are_as_many_runs_as_ticks(make, seconds, interval):
    runs, over = [], threading.Event()

    def work(**kwargs):
        runs.append(time.monotonic())
        if runs[-1] - runs[0] >= seconds - interval / 2:
            over.set()
            return False
        time.sleep(interval / 5)
        return True

    make(work, interval=interval).start()
    assert over.wait(3 * seconds)
    ticks = (runs[-1] - runs[0]) / interval + 1
    # A machine too busy to run it at all swallows ticks, which become one run; that is no drift.
    gaps = [(later - one) / interval for one, later in pairwise(runs)]
    swallowed = sum(round(gap) - 1 for gap in gaps if gap > 1.5)
    print(f"{len(runs)} runs at {ticks:.1f} ticks, {swallowed} swallowed")  # noqa: T201  asked for with -s
    assert ticks - 2 - 2 * swallowed <= len(runs) <= ticks + 2


def test_triggers_during_a_run_are_no_error_and_one_more_run(make, until):
    runs, gate, began = [], threading.Event(), threading.Event()

    def work(**kwargs):
        runs.append(1)
        began.set()
        gate.wait(10)

    worker = make(work, interval=3600)
    worker.start()
    assert began.wait(10)
    worker.trigger_threadsafe(skip=True)
    worker.trigger_threadsafe()
    worker.trigger_threadsafe()
    gate.set()
    until(lambda: len(runs) == 2)
    until(lambda: worker.status().state == "idle")
    worker.stop()
    assert len(runs) == 2


def test_the_first_run_is_at_once_and_delay_before_is_waited(make, until):
    runs = []
    worker = make(lambda **k: runs.append(time.monotonic()), interval=3600)
    worker.start()
    until(lambda: runs)
    worker.stop()
    runs.clear()
    since = time.monotonic()
    worker.start(_delay_before=0.05)
    until(lambda: runs)
    assert runs[0] - since >= 0.05


def test_a_trigger_runs_now_and_skip_only_rebases(make, until):
    runs = []
    worker = make(lambda **k: runs.append(1), interval=3600)
    worker.start()
    until(lambda: len(runs) == 1)
    worker.trigger_threadsafe()
    until(lambda: len(runs) == 2)
    worker.trigger_threadsafe(skip=True)
    worker.stop()
    assert len(runs) == 2


def test_a_cron_worker_waits_for_its_tick_and_can_be_triggered(make, until):
    runs = []
    worker = make(lambda **k: runs.append(1), cron="0 0 1 1 *", tz="Europe/Prague")
    worker.start()
    until(lambda: worker.status().state == "idle")
    assert runs == []
    worker.trigger_threadsafe()
    until(lambda: runs)
    worker.trigger_threadsafe(skip=True)
    worker.stop()
    assert runs == [1]


@pytest.mark.parametrize(("misfire", "at_once"), [("coalesce", 1), ("skip", 0), ("all", 9)])
def test_a_worker_treats_missed_ticks_as_it_was_told(make, until, misfire, at_once):
    runs, gate = [], threading.Event()

    def work(**kwargs):
        runs.append(time.monotonic())
        if len(runs) == 1:
            gate.wait(10)

    worker = make(work, interval=1.0, misfire=misfire)
    worker.start()
    until(lambda: runs)
    trigger = worker._worker_run.trigger
    # Nine ticks and a half have gone by, as it were.
    trigger._tick -= 9.5
    gate.set()
    until(lambda: len(runs) >= 1 + at_once)
    # It looked after the last of them, and the next tick is still to come.
    until(lambda: worker.status().state == "idle" and trigger.due(time.monotonic()) > 0)
    assert len(runs) == 1 + at_once
    worker.stop()


def test_jitter_of_a_worker_reaches_its_trigger(make):
    worker = make(lambda **k: None, interval=3600, jitter=0.5)
    worker.start()
    assert worker._worker_run.trigger.jitter == 0.5


def test_skip_during_a_run_counts_from_the_moment_it_was_said(make, until):
    runs, worker = [], None

    def work(**_):
        runs.append(time.monotonic())
        time.sleep(0.2)

    worker = make(work, interval=0.3)
    worker.start()
    until(lambda: runs)
    said = time.monotonic()
    worker.trigger_threadsafe(skip=True)
    until(lambda: len(runs) == 2)
    assert 0.3 <= runs[1] - said < 0.48
