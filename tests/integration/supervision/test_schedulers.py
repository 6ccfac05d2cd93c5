"""Schedulers of the user's own in the care of a task supervisor."""

import asyncio
import threading
import time

import pytest

from mainspring import background_worker
from mainspring.background.supervisor.schedulers import SchedulerService


def test_schedulers_are_stopped_the_last_registered_first(supervisor):
    diary = []

    class Scheduler:
        def __init__(self, name):
            self.name = name

        def stop(self):
            diary.append(self.name)
            raise OSError("a stop that raises keeps no other from stopping")

    supervisor.start()
    for name in ("first", "second"):
        supervisor.register_sync_scheduler(Scheduler(name))
    supervisor.stop()
    assert diary == ["second", "first"]


def test_schedulers_of_ones_own_are_run_and_stopped(supervisor, until):
    diary = []

    class Scheduler:
        def __init__(self):
            self.stopping = False

        async def loop(self):
            diary.append("loop")
            while not self.stopping:
                await asyncio.sleep(0.001)
            diary.append("end")

        def stop(self):
            self.stopping = True

    class Plain:
        def stop(self):
            diary.append("plain stop")

    supervisor.register_scheduler(Scheduler())
    supervisor.register_sync_scheduler(Plain())
    forgotten = Plain()
    supervisor.register_sync_scheduler(forgotten)
    assert supervisor.unregister_sync_scheduler(forgotten)
    gone = Scheduler()
    supervisor.register_scheduler(gone)
    until(lambda: diary.count("loop") == 2)
    assert supervisor.unregister_scheduler(gone)
    until(lambda: "end" in diary)
    supervisor.stop()
    assert sorted(diary) == ["end", "end", "loop", "loop", "plain stop"]


class Clock:
    """A scheduler of the user's own."""

    def __init__(self, error=None):
        self.error = error
        self.stopped = []
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def loop(self):
        self.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()

    def stop(self):
        self.stopped.append(1)
        raise self.error


def test_a_scheduler_whose_stop_raises_is_logged_and_does_not_keep_others_from_stopping(
    supervisor, caplog
):
    clock = Clock(ValueError("no hands"))
    worker = background_worker(interval=60, supervisor=supervisor)(lambda: None)
    worker.start()
    supervisor.register_scheduler(clock)
    clock.begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert clock.stopped == [1]
    assert clock.ended.is_set()
    assert worker.is_stopped()
    assert "no hands" in caplog.text


@pytest.mark.parametrize("way", ["leave", "close"])
def test_a_scheduler_that_is_left_as_its_loop_begins_is_cancelled(supervisor, way):
    clock, aloop = Clock(ValueError("no hands")), supervisor.running_aloop()
    service, spawn = SchedulerService(clock), aloop.spawn_coroutine_threadsafe

    def spawn_slowly(coroutine):
        life = spawn(coroutine)
        assert clock.begun.wait(5)
        getattr(service, way)()
        return life

    service.spawn = spawn_slowly
    asyncio.run(asyncio.wait_for(service.run(lambda: None), 10))
    assert clock.ended.wait(5)


def test_a_stop_without_schedulers_calls_no_stop_of_theirs_and_ends_their_loops(supervisor):
    clock = Clock()
    supervisor.register_scheduler(clock)
    supervisor.register_sync_scheduler(clock)
    clock.begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop(stop_schedulers=False)
    assert time.monotonic() - since < supervisor.grace / 2
    assert clock.stopped == []
    assert clock.ended.is_set()


@pytest.mark.parametrize("missing", ["stop", "loop"])
def test_an_object_that_is_no_scheduler_is_refused_when_it_is_registered(supervisor, missing):
    methods = {"stop": lambda _: None, "loop": lambda _: None}
    methods.pop(missing)
    scheduler = type("Scheduler", (), methods)()
    with pytest.raises(TypeError, match=f"give it a method {missing}"):
        supervisor.register_scheduler(scheduler)
    if missing == "stop":
        with pytest.raises(TypeError, match="give it a method stop"):
            supervisor.register_sync_scheduler(scheduler)
