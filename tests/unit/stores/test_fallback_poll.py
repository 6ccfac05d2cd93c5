"""The net rests while nothing is written, and never longer than that."""

import sys
import time

import pytest

from mainspring.stores.wake.fallback_poll import (
    CALM_SECONDS,
    POLL_SECONDS,
    REST_SECONDS,
    SOON_SECONDS,
    FallbackPoll,
)
from mainspring.stores.wake.socket_folder import SocketFolder
from mainspring.stores.wake.socket_listener import SocketListener

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


class File:
    """A file, with what a look at it says: whether it was written to since the last one."""

    def __init__(self, path):
        self.path = path
        self.news = False

    def write(self):
        with self.path.open("ab") as file:
            file.write(b"x")
        self.news = True

    def changed(self):
        news, self.news = self.news, False
        return news


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "jobs.db-wal"
    path.touch()
    return File(path)


@pytest.fixture
def make_net(file):
    nets = []

    def make(watched):
        net = FallbackPoll(file.changed, watched, lambda _: None)
        nets.append(net)
        return net

    yield make
    for net in nets:
        net.close()


def look_until(net, end):
    """Look as often as the net says, on a clock of the test's own, from 0 to `end`."""
    now = 0.0
    while now < end:
        assert net.look(now) is False
        now += net.pause(now)
    return now


@linux
def test_it_rests_when_nothing_has_been_written_for_a_while(make_net, file):
    net = make_net(str(file.path))
    assert net.pause(0.0) == POLL_SECONDS
    now = look_until(net, 3 * CALM_SECONDS)
    assert net.pause(now) == REST_SECONDS


@linux
def test_it_does_not_rest_before_it_has_looked_for_a_while_after_asking(make_net, file):
    net = make_net(str(file.path))
    now = look_until(net, CALM_SECONDS + POLL_SECONDS)
    assert net.descriptor >= 0
    assert net.pause(now) == POLL_SECONDS


@linux
def test_a_write_ends_the_rest_and_is_looked_at_soon(make_net, file):
    net = make_net(str(file.path))
    now = look_until(net, 3 * CALM_SECONDS)
    file.write()
    net.written()
    assert net.pause(now) == SOON_SECONDS
    assert net.look(now) is True
    assert net.pause(now) == POLL_SECONDS


@linux
def test_a_write_that_shows_nothing_yet_is_looked_for_again_and_again(make_net, file):
    net = make_net(str(file.path))
    now = look_until(net, 3 * CALM_SECONDS)
    file.write()
    file.news = False  # written, and not committed yet
    net.written()
    assert net.look(now) is False
    assert net.pause(now) == POLL_SECONDS


@linux
def test_after_a_change_that_was_not_told_of_it_never_rests_again(make_net, file):
    net = make_net(str(file.path))
    now = look_until(net, 3 * CALM_SECONDS)
    file.news = True  # with no write that the kernel could have seen
    assert net.look(now) is True
    assert look_until(net, 10 * CALM_SECONDS) > 0
    assert net.pause(10 * CALM_SECONDS) == POLL_SECONDS


@pytest.mark.parametrize("missing", [True, False])
def test_without_anything_to_watch_it_never_rests(make_net, tmp_path, missing):
    net = make_net(str(tmp_path / "missing") if missing else None)
    now = look_until(net, 10 * CALM_SECONDS)
    assert net.pause(now) == POLL_SECONDS


@linux
def test_a_listener_at_rest_sees_a_write_at_once(tmp_path, file):
    listener = SocketListener(
        SocketFolder(tmp_path / "place"), "ready", changed=file.changed, watched=str(file.path)
    )
    while listener._poll.pause(time.monotonic()) != REST_SECONDS:
        assert listener.wait(POLL_SECONDS) is None
    file.write()
    began = time.monotonic()
    assert listener.wait(30) is not None
    assert time.monotonic() - began < REST_SECONDS / 2
    listener.close()
