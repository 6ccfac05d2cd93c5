import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from mainspring.cli.daemon.notify import ReadinessAnnouncer, ServiceManager


class Manager:
    """Remembers what it was told."""

    def __init__(self, watchdog=None):
        self.watchdog = watchdog
        self.told = []

    def say(self, state):
        self.told.append(state)


def test_without_a_socket_nothing_is_said():
    manager = ServiceManager({})
    manager.say("READY=1")
    assert manager.watchdog is None


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_words_reach_the_socket_that_the_environment_names(kind):
    if kind == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's own")
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
    ):
        path = str(Path(folder) / "notify")
        name = path if kind == "path" else f"@{path}"
        line.bind(path if kind == "path" else f"\0{path}")
        line.settimeout(10)
        ServiceManager({"NOTIFY_SOCKET": name}).say("READY=1")
        assert line.recv(100) == b"READY=1"


def test_a_manager_that_is_gone_is_no_error(tmp_path, caplog):
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")
    assert "READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_heeded_when_it_means_this_process(environment, seconds):
    assert ServiceManager(environment).watchdog == seconds


def live(herald, condition, auntil):
    async def run():
        task = asyncio.create_task(herald.run(lambda: None))
        await auntil(condition)
        herald.close()
        herald.close()
        await task

    asyncio.run(run())


@pytest.fixture
def auntil():
    async def wait(condition):
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    return wait


def test_it_says_ready_then_beats_then_says_once_that_it_stops(auntil):
    manager = Manager(watchdog=0.002)
    live(ReadinessAnnouncer(manager, lambda: True), lambda: len(manager.told) > 3, auntil)
    assert manager.told[0] == "READY=1"
    assert set(manager.told[1:-1]) == {"WATCHDOG=1"}
    assert manager.told[-1] == "STOPPING=1"


def test_it_does_not_beat_while_the_supervisor_is_unwell(auntil):
    manager, looks = Manager(watchdog=0.002), []
    herald = ReadinessAnnouncer(manager, lambda: looks.append(1) or len(looks) > 3)
    live(herald, lambda: "WATCHDOG=1" in manager.told, auntil)
    assert len(looks) > 3
    assert manager.told.count("WATCHDOG=1") == len(looks) - 3


def test_it_does_not_beat_unasked(auntil):
    manager = Manager()
    live(ReadinessAnnouncer(manager, lambda: True), lambda: manager.told, auntil)
    assert manager.told == ["READY=1", "STOPPING=1"]


def test_closed_before_it_runs_it_is_never_ready():
    manager = Manager()
    herald = ReadinessAnnouncer(manager, lambda: True)
    herald.close()
    asyncio.run(herald.run(lambda: None))
    assert "READY=1" not in manager.told
