"""Events, info and health of a task supervisor."""

import json
import threading

from mainspring import background_worker
from mainspring.background.supervisor import info
from mainspring.model import events


def test_subscribers_are_told_what_happens_to_a_worker(supervisor, until):
    told = []
    supervisor.subscribe(told.append)

    def fail():
        raise OSError("no sensor")

    worker = background_worker(interval=0.001, name="w", supervisor=supervisor)(fail)
    worker.start()
    until(lambda: worker.status().errors > 2)
    worker.stop()
    mine = [event for event in told if getattr(event, "service", None) == "w"]
    assert isinstance(mine[0], events.ServiceStarted)
    assert isinstance(mine[1], events.ServiceCrashed)
    assert isinstance(mine[1].error, OSError)
    assert mine[1].restart_in == 0
    assert isinstance(mine[-1], events.ServiceStopped)


def test_a_blocked_loop_is_reported_with_its_stack_and_others_go_on(supervisor, until, caplog):
    told, runs, release = [], [], threading.Event()
    supervisor.subscribe(lambda event: isinstance(event, events.LoopStalled) and told.append(event))
    supervisor.create_aloop("blocked")
    supervisor.create_aloop("free")

    async def block():
        release.wait(10)

    async def work():
        runs.append(1)

    supervisor.get_aloop("blocked").spawn_coroutine_threadsafe(block())
    background_worker(interval=0.01, loop="free", supervisor=supervisor)(work).start()
    until(lambda: told, 4)
    count = len(runs)
    until(lambda: len(runs) > count)
    assert not supervisor.health()["healthy"] or told[0].seconds < 2
    release.set()
    assert told[0].loop == "blocked"
    assert "release.wait" in told[0].stack
    assert "release.wait" in caplog.text


def test_get_info_serialises_to_json_and_tells_of_everything(supervisor, until):
    def fail():
        raise OSError("no sensor")

    background_worker(interval=0.001, name="bad", supervisor=supervisor)(fail).start()
    background_worker(queue=True, name="mail", supervisor=supervisor)(print).start()
    supervisor.create_aloop("io")
    until(lambda: supervisor.get_info()["workers"][0]["errors"] > 2)
    until(lambda: "io" in supervisor.get_info()["loops"])
    info = json.loads(json.dumps(supervisor.get_info()))
    assert info["id"] == "test"
    assert info["active"]
    assert {"size", "reserve_normal", "reserve_high", "busy", "queued"} <= set(
        info["pools"]["threads"]
    )
    bad, mail = info["workers"]
    assert bad["kind"] == "interval"
    assert "no sensor" in bad["error"]
    assert bad["restarts"] > 0
    assert mail["queued"] == 0
    assert supervisor.health()["failing_workers"] == ["bad"]
    assert supervisor.health()["healthy"]


def test_get_info_tells_of_a_loop_as_soon_as_it_is_there(supervisor):
    supervisor.create_aloop("io")
    assert set(supervisor.get_info()["loops"]) == {"io"}
    supervisor.stop_aloop("io")
    assert supervisor.get_info()["loops"] == {}


def test_a_loop_that_starts_long_after_its_supervisor_is_watched(supervisor, until, caplog):
    runs, go_on = [], threading.Event()
    background_worker(interval=0.001, supervisor=supervisor)(lambda: runs.append(1)).start()
    until(lambda: len(runs) > 3 and supervisor.running_pools.watchdog.trigger.delay > 60)

    @background_worker(delay=60, supervisor=supervisor)
    async def block():
        go_on.wait(30)

    block.start()
    until(lambda: "is blocked for" in caplog.text)
    go_on.set()


def test_health_names_a_loop_while_it_is_blocked(supervisor, until, monkeypatch):
    monkeypatch.setattr(info, "STALLED_AFTER", 0.1)
    go_on = threading.Event()

    @background_worker(delay=60, supervisor=supervisor)
    async def block():
        go_on.wait(30)

    block.start()
    until(lambda: supervisor.health()["stalled_loops"] == ["supervisor"])
    assert not supervisor.health()["healthy"]
    go_on.set()
    until(lambda: supervisor.health()["healthy"])


def test_info_and_health_are_json_at_every_moment_of_starts_and_stops(supervisor):
    over, looks, errors = threading.Event(), [], []

    def look():
        while not over.is_set():
            try:
                looks.append(json.dumps([supervisor.get_info(), supervisor.health()]))
            except Exception as error:  # noqa: BLE001  the test's own border
                errors.append(error)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    supervisor.create_aloop("io")
    for _ in range(10):
        for number in range(10):
            options = {"interval": 0.01, "supervisor": supervisor, "name": f"w{number}"}
            background_worker(**options)(lambda: None).start()
        supervisor.stop()
    over.set()
    for looker in lookers:
        looker.join(10)
    assert looks
    assert not errors
