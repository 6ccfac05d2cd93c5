"""Background workers, their starts and their runs."""

import random
import threading
import time
from contextlib import suppress

from mainspring.errors import (
    AlreadyRunning,
    NotRunning,
)


def test_it_runs_and_stops_and_starts_again(make, of_kind, feed, until):
    runs = []
    worker = make(lambda *a, **k: runs.append(1), **of_kind)
    for _ in range(3):
        runs.clear()
        assert worker.start()
        assert worker.is_started()
        assert worker.is_active()
        assert not worker.is_stopped()
        feed(worker)
        until(lambda: runs)
        assert worker.stop()
        count = len(runs)
        assert worker.is_stopped()
        assert not worker.is_active()
        assert len(runs) == count


def test_a_second_start_returns_false(make, of_kind):
    worker = make(lambda *a, **k: time.sleep(0.001), **of_kind)
    assert worker.start()
    assert not worker.start()


def test_it_never_runs_twice_at_once(make, kind, of_kind, until):
    busy, overlaps, runs = [], [], []

    def work(*args, **kwargs):
        overlaps.extend(busy)
        busy.append(1)
        runs.append(1)
        time.sleep(0.003)
        busy.pop()

    worker = make(work, **of_kind)
    worker.start()

    def push():
        while len(runs) < 30:
            if kind == "queue":
                worker.put_threadsafe(1)
            elif kind != "continuous":
                worker.trigger_threadsafe(force=True)
            time.sleep(0.0005)

    pushers = [threading.Thread(target=push) for _ in range(3)]
    for one in pushers:
        one.start()
    until(lambda: len(runs) >= 30)
    for one in pushers:
        one.join()
    worker.stop()
    assert overlaps == []


def test_only_false_ends_it_and_it_can_start_again(make, of_kind, feed, until):
    answers = []
    worker = make(lambda *a, **k: answers.pop(0) if answers else None, **of_kind)
    for _ in range(2):
        answers.extend([None, 0, "", False])
        worker.start()

        def ended():
            with suppress(NotRunning):
                feed(worker)
            return worker.is_stopped()

        until(ended)
        assert answers == []


def test_false_on_the_very_first_run_never_deadlocks_the_start(make, kind, of_kind, feed, until):
    worker = make(lambda *a, **k: False, **of_kind)
    for _ in range(200):
        until(lambda: not worker.is_started())
        if kind == "queue":
            worker.get_queue_obj().put_nowait(1)
        assert worker.start()
        if kind == "event":
            worker.trigger_threadsafe()
    until(worker.is_stopped)


def test_restart_waits_for_the_end_and_gives_the_target_the_new_arguments(
    make, of_kind, feed, until
):
    seen, under_way, at_once = [], [], []

    def target(*args, word, **kwargs):
        under_way.append(1)
        at_once.append(len(under_way))
        time.sleep(0.002)
        seen.append(word)
        under_way.pop()

    worker = make(target, **of_kind)
    worker.start(word="first")
    for number in range(5):
        feed(worker)
        until(lambda: seen)
        assert worker.restart(word=number)
        seen.clear()
        feed(worker)
        until(lambda: seen)
        assert set(seen) == {number}
    assert max(at_once) == 1


def test_restart_of_a_worker_that_is_stopped_starts_it(make, of_kind):
    worker = make(lambda *_, **__: time.sleep(0.001), **of_kind)
    assert worker.restart()
    assert worker.is_active()


def test_restart_and_start_from_inside_the_target_never_deadlock(make, of_kind, feed, until):
    caught = []

    def target(*args, _worker, **kwargs):
        if not caught:
            caught.append(_worker.start())
            try:
                _worker.restart()
            except AlreadyRunning as error:
                caught.append(error)

    worker = make(target, **of_kind)
    worker.start()
    feed(worker)
    until(lambda: len(caught) == 2)
    assert caught[0] is False
    assert worker.is_active()
    assert worker.status().errors == 0


def test_a_target_may_ask_for_a_start_while_another_thread_waits_to_start(
    make, of_kind, feed, until
):
    began, asked = threading.Event(), threading.Event()
    caught = []

    def target(*args, _worker, **kwargs):
        if caught:
            return
        began.set()
        asked.wait(10)
        # Until the other thread waits for this run, with the worker's lock.
        while _worker.start_stop_lock.acquire(blocking=False):
            _worker.start_stop_lock.release()
            time.sleep(0.001)
        try:
            caught.append(_worker.start())
        except AlreadyRunning as error:
            caught.append(error)

    worker = make(target, **of_kind)
    worker.start()
    feed(worker)
    assert began.wait(10)
    worker.stop(wait=False)
    starter = threading.Thread(target=worker.start, daemon=True)
    starter.start()
    asked.set()
    starter.join(10)
    assert not starter.is_alive()
    assert isinstance(caught[0], AlreadyRunning)
    assert worker.is_active()


def test_workers_started_and_stopped_from_many_threads_stay_sane(make, until):
    runs, busy, overlaps = [], [], []

    def work(**kwargs):
        overlaps.extend(busy)
        busy.append(1)
        runs.append(1)
        busy.pop()

    worker = make(work, interval=0.0005)

    def play():
        for _ in range(30):
            random.choice([worker.start, worker.stop, lambda: worker.stop(wait=False)])()

    players = [threading.Thread(target=play) for _ in range(4)]
    for one in players:
        one.start()
    for one in players:
        one.join(60)
    assert not any(one.is_alive() for one in players)
    worker.stop()
    until(worker.is_stopped)
    assert overlaps == []
